"""What a run happens in: a plan's deployment, cloud and fleet, and what is noted of it.

Faults, workload and meters are given it; none of them is known here.
"""

from __future__ import annotations

import re
from collections import Counter, deque
from typing import Final, NamedTuple

from simulator.chances import Decisions, SharedDataChances, SharedQueueChances
from simulator.cloud.model.cloud import GUEST_IMAGE, PRIVATE_NETWORK, Passwords
from simulator.cloud.model.identity import stable_id
from simulator.cloud.model.seams import Hypervisor
from simulator.cloud.model.settings import CloudSettings, Delays
from simulator.cloud_functions import CloudFunctions, make_cloud
from simulator.cloud_functions.network import shown_to_tenants
from simulator.fleet.fleet import Fleet
from simulator.inputs import Plan
from simulator.invariants import Invariants
from simulator.kernel import START, Kernel
from simulator.region import Region
from simulator.result import FaultLane
from simulator.template import PREFIX
from simulator.versions import make_images

JOURNAL: Final = 20_000
DELAYS: Final = Delays(
    server_build=12.0,
    server_delete=4.0,
    server_power=5.0,
    volume_create=3.0,
    volume_delete=2.0,
    slow_delete=60.0,
)
ADDRESSES: Final = "10.0.0.0/8"
SECOND_NETWORK: Final = "second"
SECOND_ID: Final = stable_id("network", SECOND_NETWORK)
"""A network that every tenant may use, beside the one that instances get by themselves."""
SECOND_ADDRESSES: Final = "172.16.0.0/12"
_INSTANCE: Final = re.compile(rf"{PREFIX}-([0-9a-f]{{8}}(?:-[0-9a-f]{{4}}){{3}}-[0-9a-f]{{12}})")


class Injection(NamedTuple):
    """One fault that struck: at which virtual second of the run, its class, what, whom."""

    time: float
    fault: str
    text: str
    instance_id: str | None


class World:
    """Everything of a plan that has no will of its own. The plan is drawn."""

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.kernel = Kernel(plan.seed)
        self.queue_chances = SharedQueueChances()
        self.data_chances = SharedDataChances()
        self.decisions = Decisions()
        self.most_lag_seconds = 0.0
        self.injected: Counter[str] = Counter()
        self.journal: deque[Injection] = deque(maxlen=JOURNAL)
        self.lanes: list[FaultLane] = []
        self.refused_in_outage = 0
        self.network_id = stable_id("network", PRIVATE_NETWORK)
        self.image_id = stable_id("image", GUEST_IMAGE)
        heartbeat = plan.heartbeat_seconds
        options = {
            "COFFER_HEARTBEAT_SECONDS": str(heartbeat),
            "COFFER_HEARTBEAT_EXPIRY_SECONDS": str(3 * heartbeat),
            "COFFER_SEAL_BACKUPS_WITH": "key" if plan.kms else "ring",
        }
        self.region = Region(
            self.kernel,
            network_id=self.network_id,
            options=options,
            data_chances=self.data_chances,
            queue_chances=self.queue_chances,
        )
        self.fleet = Fleet(self.kernel, self.region, self.region.provider.skew)
        self.cloud = make_cloud(self.kernel, _as_hypervisor(self.fleet), _cloud_settings())
        self.cloud.bootstrap(Passwords("admin", "service", "demo", "validation"), "http://cloud")
        make_images(self.cloud, self.fleet)
        self.cloud.network.create_network(
            self.cloud.admin(), SECOND_NETWORK, shared=True, network_id=SECOND_ID
        )
        self.cloud.network.create_subnet(
            self.cloud.admin(), SECOND_ID, SECOND_ADDRESSES, f"{SECOND_NETWORK}-subnet"
        )
        self.cloud_functions = CloudFunctions(self.kernel, self.region.effects, self.cloud)
        self.region.networks = shown_to_tenants(self.cloud)
        self.invariants: Invariants | None = None
        """From the moment at which everything is set up."""

    def close(self) -> None:
        """Give the real world its place back."""
        if self.invariants is not None:
            self.invariants.close()  # first: what is ended now may still log, out of its trace
        self.kernel.close()
        self.cloud_functions.uninstall()
        self.region.close()

    @property
    def elapsed(self) -> float:
        """Virtual seconds since the begin."""
        return self.kernel.now - START

    def inject(self, fault: str, text: str = "", instance_id: str | None = None) -> None:
        """Count one injection of a fault class, and note it when there is something to say."""
        self.injected[fault] += 1
        if text:
            self.note(fault, text, instance_id)

    def note(self, fault: str, text: str, instance_id: str | None = None) -> None:
        """Write something about a fault into the journal and the instance's timeline."""
        self.kernel.trace(fault, text)
        self.journal.append(Injection(self.elapsed, fault, text, instance_id))
        if self.invariants is not None and instance_id is not None:
            self.invariants.timeline.note(instance_id, fault, text)

    def lane(self, fault: str, seconds: float) -> None:
        """A stretch of time in which a fault class was at work."""
        self.lanes.append(FaultLane(fault, self.elapsed, self.elapsed + seconds))

    @staticmethod
    def instance_in(name: str) -> str | None:
        """The instance that a thing in the cloud is named for."""
        found = _INSTANCE.match(name)
        return found[1] if found else None

    def calls_by_service(self) -> dict[str, dict[str, int]]:
        """How often each call was made, by service."""
        found: dict[str, dict[str, int]] = {}
        for (service, call), count in self.region.effects.made.items():
            found.setdefault(service, {})[call] = count
        return {service: dict(sorted(calls.items())) for service, calls in sorted(found.items())}


def _as_hypervisor(fleet: Fleet) -> Hypervisor:
    return fleet


def _cloud_settings() -> CloudSettings:
    unlimited = (
        *("instances", "cores", "ram", "metadata_items", "key_pairs"),
        *("server_groups", "server_group_members"),
    )
    return CloudSettings(
        guest_network=ADDRESSES,
        delays=DELAYS,
        compute_quota=dict.fromkeys(unlimited, -1),
        volume_quota=dict.fromkeys(
            ("volumes", "gigabytes", "snapshots", "per_volume_gigabytes"), -1
        ),
        network_quota=dict.fromkeys(
            (
                "network",
                "subnet",
                "port",
                "security_group",
                "security_group_rule",
                "floatingip",
            ),
            -1,
        ),
        service_roles=("member", "service", "manager"),
        host_role="manager",
    )
