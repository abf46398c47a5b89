"""A small deployment in virtual time, watched by the invariants: where tests put their faults."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any, Final

from chalicelib.domain.operations import TERMINAL
from chalicelib.store.models import Flavor
from simulator.cloud.model.cloud import PRIVATE_NETWORK, Cloud, Passwords
from simulator.cloud.model.identity import stable_id
from simulator.cloud.model.settings import RAISED, CloudSettings
from simulator.cloud_functions import CloudFunctions, make_cloud
from simulator.cloud_functions.network import shown_to_tenants
from simulator.fleet.fleet import Fleet
from simulator.invariants import Invariants
from simulator.kernel import START, Coroutine, Kernel
from simulator.region import Region, Reply
from simulator.template import PREFIX
from simulator.versions import make_images

TENANT: Final = "tenant-1"
PASSWORD: Final = "hush-hush"
LOOK_SECONDS: Final = 15.0
GENEROUS: Final = CloudSettings(
    service_quota=RAISED, service_roles=("member", "service", "manager"), host_role="manager"
)
"""A cloud whose operator has raised the quotas, and lets the service migrate, to any host too."""
SETTLE_SECONDS: Final = 4 * 3600.0
"""Everything that was accepted has ended so long after the last fault."""
REPORTED_SECONDS: Final = 130.0
"""Two heartbeats and a little."""
MOST_EVENTS: Final = 400_000


class Client:
    """A tenant's way to the API, from inside a coroutine."""

    def __init__(self, region: Region, tenant: str, *roles: str) -> None:
        self.region = region
        self.tenant = tenant
        self.token = region.log_in(tenant, *roles)

    def __call__(self, method: str, path: str, document: Any = None) -> Reply:
        headers = {"X-Auth-Token": self.token}
        body = b""
        if document is not None:
            headers["Content-Type"] = "application/json"
            body = json.dumps(document).encode()
        return self.region.http(method, f"/v1.0/{self.tenant}{path}", headers, body)


class Simulation:
    """Region, cloud, fleet and invariants. `close` gives the process back."""

    def __init__(self, seed: int = 1, options: dict[str, str] | None = None) -> None:
        self.kernel = Kernel(seed)
        network_id = stable_id("network", PRIVATE_NETWORK)
        self.region = Region(self.kernel, network_id=network_id, options=options)
        self.fleet = Fleet(self.kernel, self.region, self.region.provider.skew)
        self.cloud: Cloud = make_cloud(self.kernel, self.fleet, GENEROUS)
        self.cloud.bootstrap(Passwords("a", "s", "d", "v"), "https://cloud")
        make_images(self.cloud, self.fleet)
        self.cloud_functions = CloudFunctions(self.kernel, self.region.effects, self.cloud)
        self.region.networks = shown_to_tenants(self.cloud)
        self.cloud_functions.install()
        self.region.deploy()
        self.region.seed(
            [
                Flavor(id="1", name="db.tiny", ram=512, vcpus=1, disk=5),
                Flavor(id="4", name="db.memory", ram=1024, vcpus=1, disk=5),
            ]
        )
        self.invariants = Invariants(self)
        self.invariants.install()

    def close(self) -> None:
        self.kernel.close()
        self.invariants.close()
        self.region.close()
        self.cloud_functions.uninstall()

    # ---------------------------------------------------------------------------- time

    @property
    def now(self) -> float:
        """Virtual seconds since the begin."""
        return self.kernel.now - START

    def run(self, seconds: float) -> None:
        """Let time pass."""
        self.kernel.run(self.kernel.now + seconds, most_events=MOST_EVENTS)

    def do(self, work: Callable[[], object], within: float = SETTLE_SECONDS) -> None:
        """Run work in a coroutine to its end; its error is raised here."""
        ended: list[Coroutine] = []
        self.kernel.spawn(work, "client", None, ended.append)
        until = self.kernel.now + within
        while not ended and self.kernel.now < until:
            self.run(LOOK_SECONDS)
        assert ended, f"the client waits after {within} s"
        if ended[0].error is not None:
            raise ended[0].error

    def settle(self, within: float = SETTLE_SECONDS) -> None:
        """Let time pass until nothing is under way any more."""
        until = self.kernel.now + within
        while self.busy() and self.kernel.now < until:
            self.run(LOOK_SECONDS)
        self.run(REPORTED_SECONDS)

    def idle(self) -> None:
        """Wait, in a coroutine, until nothing is under way."""
        while self.busy():
            self.kernel.sleep(1.0)

    def busy(self) -> bool:
        """Whether an operation is live or a message waits."""
        rows = self.region.dynamodb.rows(f"{PREFIX}-operations")
        if any(row["status"] not in TERMINAL for row in rows):
            return True
        queues = self.region.sqs.queues
        names = ("taskmanager", "conductor", "dead-letters")
        return any(queues[f"{PREFIX}-{name}"].messages for name in names)

    # --------------------------------------------------------------------------- rows

    def instances(self) -> list[dict[str, Any]]:
        """Every instance that is not deleted."""
        rows = self.region.dynamodb.rows(f"{PREFIX}-instances")
        return [row for row in rows if row["status"] != "DELETED"]

    def explain(self) -> str:
        """All violations with their timelines, and what no policy allowed; empty without any."""
        told = (self.invariants.explain(self.invariants.violations), *self.region.rights.refused)
        return "\n".join(filter(None, told))


class Deployment(Simulation):
    """The same, with a tenant and an administrator, and what they do."""

    def __init__(self, seed: int = 1, options: dict[str, str] | None = None) -> None:
        super().__init__(seed, options)
        self.tenant = Client(self.region, TENANT, "member")
        self.admin = Client(self.region, TENANT, "admin", "member")

    def create(self, client: Client) -> None:
        """Create an instance; after an answer that says nothing, look before asking again."""
        wanted = {
            "name": "db",
            "flavorRef": "1",
            "volume": {"size": 1},
            "datastore": {"type": "mariadb", "version": "10.11"},
            "databases": [{"name": "shop"}],
            "users": [{"name": "alice", "password": PASSWORD, "databases": [{"name": "shop"}]}],
        }
        for _ in range(5):
            reply = client("POST", "/instances", {"instance": wanted})
            if reply.status < 500:
                assert reply.status == 200, reply
                return
            self.kernel.sleep(5.0)
            if self.instances():
                return
        raise AssertionError("no create was accepted")

    def wait(self, within: float = SETTLE_SECONDS) -> None:
        """Wait until no instance is being made or deleted."""
        until = self.kernel.now + within
        while any(row["status"] in ("BUILD", "SHUTDOWN") for row in self.instances()):
            assert self.kernel.now < until, self.instances()
            self.kernel.sleep(LOOK_SECONDS)

    def delete_all(self, client: Client) -> None:
        """Delete every instance, again and again until there is none."""
        for _ in range(10):
            for row in self.instances():
                client("DELETE", f"/instances/{row['id']}")
            self.kernel.sleep(LOOK_SECONDS)
            self.wait()
            if not self.instances():
                return
        raise AssertionError(f"still there: {self.instances()}")

    def force_delete_all(self, client: Client) -> None:
        """What an operator does about an instance in BUILD: reset it and delete it."""
        for _ in range(10):
            for row in self.instances():
                client("POST", f"/instances/{row['id']}/action", {"force_delete": {}})
            self.kernel.sleep(LOOK_SECONDS)
            self.wait()
            if not self.instances():
                return
        raise AssertionError(f"still there: {self.instances()}")
