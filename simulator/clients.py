"""Who asks: the tenants and the operators, with their tokens, their names, and their requests.

A tenant knows what it made from the replies alone, as a real client does.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable
from typing import Any, Final

from simulator.inputs import DATASTORE
from simulator.kernel import Coroutine
from simulator.region import Reply
from simulator.world import World

NAMES: Final = 6
"""So many users, databases and names there are to ask for, for each instance."""
LONG_LISTS: Final = 0.2
"""The share of lists in bodies that have more than one member."""
KEYED: Final = 0.3
"""The share of a tenant's POSTs with an Idempotency-Key."""
SENT_AGAIN: Final = 0.6
"""Of those, the share that is sent again, as by a client that has lost its answer."""
AGAIN_SECONDS: Final = (0.05, 3.0, 60.0, 1800.0)
"""When at the latest: while the first is under way, or long after it."""
MISTAKEN: Final = 0.15
"""Of those, the share with another body."""
OPERATORS: Final = "operators"


class Tenant:
    """A tenant, its token, and the instances it knows of, in the order it learned of them, each
    with its datastore."""

    __slots__ = ("archived", "backups", "groups", "instances", "name", "schedules", "token")

    def __init__(self, name: str, token: str) -> None:
        self.name = name
        self.token = token
        self.instances: dict[str, str] = {}
        self.groups: dict[str, str] = {}
        """Configuration groups, each with its datastore."""
        self.backups: dict[str, tuple[str, str]] = {}
        """Backups, each with its datastore and what it is of; "" of what was imported."""
        self.schedules: dict[str, str] = {}
        """Schedules of backups, each with its instance."""
        self.archived: dict[str, str] = {}
        """Instances of which a log was to be archived, each with its datastore."""


class Clients:
    """The requests of a run, each a coroutine's; the replies are counted."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.on = False
        self.requests = 0
        self.replies: Counter[int] = Counter()
        self.errors: list[BaseException] = []
        self.stream = world.kernel.stream("workload")
        self.names = world.kernel.stream("workload names")
        self.keys = world.kernel.stream("workload keys")
        self.tenants: dict[str, Tenant] = {}
        self.lowered: dict[str, None] = {}
        """Tenants whose limits are not the usual ones."""
        self._operator = world.region.log_in(OPERATORS, "admin")

    @property
    def careless(self) -> bool:
        """Whether somebody may ask for what has to fail: not where all that is accepted succeeds
        (L1)."""
        watching = self.world.invariants
        return (
            watching is not None and watching.hub.fair_since is None and not watching.hub.lossless
        )

    def tenant(self, name: str) -> Tenant:
        """The tenant of that name."""
        if name not in self.tenants:
            self.tenants[name] = Tenant(name, self.world.region.log_in(name, "member"))
        return self.tenants[name]

    def adopt(self, tenant_id: str, instance_id: str, datastore: str) -> None:
        """Let a tenant know of an instance that is there from the begin."""
        self.tenant(tenant_id).instances[instance_id] = datastore

    def learn(self, tenant: Tenant, reply: Reply) -> None:
        """Let a tenant know of the instance that an accepted create tells of."""
        told = reply.document["instance"]
        tenant.instances[told["id"]] = told["datastore"]["type"]

    def learn_backup(self, tenant: Tenant, reply: Reply) -> None:
        """The same of the backup that an accepted one tells of."""
        told = reply.document["backup"]
        tenant.backups[told["id"]] = told["datastore"]["type"], told["instance_id"] or ""

    def learn_schedule(self, tenant: Tenant, reply: Reply) -> None:
        """The same of a schedule of backups."""
        told = reply.document["backup_schedule"]
        tenant.schedules[told["id"]] = told["instance_id"]

    def datastore(self) -> str:
        """One of those that the plan mixes."""
        mixed = self.world.plan.datastores or {DATASTORE: 1.0}
        if len(mixed) == 1:
            return next(iter(mixed))
        return self.stream.choices(list(mixed), list(mixed.values()))[0]

    def begin(self, function: Callable[[], None], name: str) -> None:
        """Let somebody do something, beside everybody else."""
        self.world.kernel.spawn(function, f"tenant.{name}", "workload", self._ended)

    def _ended(self, coroutine: Coroutine) -> None:
        if coroutine.error is not None:
            self.errors.append(coroutine.error)

    def post(self, tenant: Tenant, path: str, body: Any = None) -> Reply:
        """A POST of a tenant, now and then with a key, and then perhaps not for the only time."""
        if self.keys.random() >= KEYED:
            return self.request(tenant, "POST", path, body)
        key = f"key-{self.keys.getrandbits(64):016x}"
        if self.keys.random() < SENT_AGAIN:
            after = self.keys.choice(AGAIN_SECONDS) * self.keys.random()
            again = {"mistaken": {}} if self.keys.random() < MISTAKEN else body
            self.world.kernel.call_later(after, self._again, tenant, path, again, key)
        reply = self.request(tenant, "POST", path, body, key=key)
        if reply.status >= 500:  # whoever has a key may just ask again
            after = AGAIN_SECONDS[1] * self.keys.random()
            self.world.kernel.call_later(after, self._again, tenant, path, body, key)
        return reply

    def _again(self, tenant: Tenant, path: str, body: Any, key: str) -> None:
        if self.on:
            self.begin(lambda: self._learn(tenant, path, body, key), "again")

    def _learn(self, tenant: Tenant, path: str, body: Any, key: str) -> None:
        """Send a request again; its first answer may have been lost, and with it an instance."""
        reply = self.request(tenant, "POST", path, body, key=key)
        if path == "/instances" and reply.status == 200:
            self.learn(tenant, reply)
        elif path == "/backups" and reply.status == 202:
            self.learn_backup(tenant, reply)
        elif path == "/backup_schedules" and reply.status == 200:
            self.learn_schedule(tenant, reply)

    def request(
        self,
        tenant: Tenant,
        method: str,
        path: str,
        body: Any = None,
        *,
        admin: bool = False,
        key: str | None = None,
    ) -> Reply:
        """One request; the reply is counted. An administrator's has the operators' project."""
        token = self._operator if admin else tenant.token
        project = OPERATORS if admin else tenant.name
        headers = {"X-Auth-Token": token}
        content = b""
        if body is not None:
            headers["Content-Type"] = "application/json"
            content = json.dumps(body).encode()
        if key is not None:
            headers["Idempotency-Key"] = key
        self.requests += 1
        reply = self.world.region.http(method, f"/v1.0/{project}{path}", headers, content)
        self.replies[reply.status] += 1
        self.world.kernel.trace("http", method, path, reply.status)
        return reply

    def name(self, kind: str) -> str:
        """One of the few names that there are of a kind."""
        return f"{kind}{self.names.randrange(NAMES)}"

    def several(self, kind: str) -> list[str]:
        """Names for a list in a body: mostly one, at most as many as the plan allows."""
        most = self.world.plan.workload.most_in_a_list
        count = self.names.randint(1, most) if self.names.random() < LONG_LISTS else 1
        names = [self.name(kind)]
        return names + [f"{kind}-{number}" for number in range(count - 1)]
