"""What tenants and operators do: requests to the API, each a coroutine, drawn from one stream.

A tenant knows what it made from the replies alone, as a real client does. How often, and what, the
plan says; what races (F21) and what floods (F22), the faults say.
"""

from __future__ import annotations

import json
import random
from collections import Counter
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote

from simulator.invariants.marks import SECRET_MARK
from simulator.kernel import Coroutine
from simulator.region import Reply

if TYPE_CHECKING:
    from simulator.run import Run

LOOK_SECONDS: Final = 30.0
RACE_SECONDS: Final = 3.0
EMPTYING_ATTEMPTS: Final = 60
EMPTYING_PAUSE_SECONDS: Final = 60.0
SPREAD_SECONDS: Final = 120.0
NOISY: Final = "noisy"
OPERATORS: Final = "operators"

DEFAULT_MIX: Final[dict[str, float]] = {
    "create": 10,
    "delete": 9,
    "show": 10,
    "list": 6,
    "create_user": 6,
    "list_users": 4,
    "change_password": 2,
    "delete_user": 3,
    "create_database": 6,
    "list_databases": 4,
    "delete_database": 3,
    "enable_root": 2,
    "show_root": 1,
    "restart": 1,
    "rename": 1,
    "write": 6,
    "limits": 1,
    "quota": 0.5,
    "force_delete": 0.5,
    "reset_status": 0.2,
}


class Tenant:
    """A tenant, its token, and the instances it knows of (in the order it learned of them)."""

    __slots__ = ("instances", "name", "token")

    def __init__(self, name: str, token: str) -> None:
        self.name = name
        self.token = token
        self.instances: dict[str, None] = {}


class Workload:
    """All requests of a run. `racing` and `noise` are what F21 and F22 ask for."""

    def __init__(self, run: Run) -> None:
        self.run = run
        self.racing = 0.0
        self.on = False
        self.requests = 0
        self.replies: Counter[int] = Counter()
        self.errors: list[BaseException] = []
        self._stream = run.kernel.stream("workload")
        self._names = run.kernel.stream("workload names")
        self.tenants: dict[str, Tenant] = {}
        self._lowered: dict[str, None] = {}
        mix = run.plan.workload.mix or DEFAULT_MIX
        self._actions = [name for name in ACTIONS if mix.get(name, 0) > 0]
        self._weights = [mix[name] for name in self._actions]
        self._operator = run.region.log_in(OPERATORS, "admin")

    def tenant(self, name: str) -> Tenant:
        """The tenant of that name."""
        if name not in self.tenants:
            self.tenants[name] = Tenant(name, self.run.region.log_in(name, "member"))
        return self.tenants[name]

    def adopt(self, tenant_id: str, instance_id: str) -> None:
        """Let a tenant know of an instance that is there from the begin."""
        self.tenant(tenant_id).instances[instance_id] = None

    # ------------------------------------------------------------------------ begin, end

    def start(self) -> None:
        """Begin; without a population the guests of the plan are created first."""
        self.on = True
        plan = self.run.plan
        count = -(-plan.guests // plan.workload.guests_per_tenant)
        for number in range(count):
            self.tenant(f"tenant-{number}")
        if not plan.prepared:
            for number in range(plan.guests):
                tenant = self.tenants[f"tenant-{number // plan.workload.guests_per_tenant}"]
                self.run.kernel.call_later(
                    self._stream.random() * SPREAD_SECONDS, self.spawn, "create", tenant, None
                )
        if plan.workload.operations_per_guest_hour:
            self._next()

    def stop(self) -> None:
        """Begin nothing more, and set the limits right that were lowered."""
        self.on = False
        for name in self._lowered:
            tenant = self.tenants[name]
            self._begin(partial(self._set_quota, tenant, 10), "quota")

    def empty(self) -> None:
        """Delete everything, again and again until nothing is left; a coroutine a tenant."""
        for tenant in self.tenants.values():
            self._begin(partial(self._empty, tenant), "empty")

    def _next(self) -> None:
        plan = self.run.plan
        rate = plan.workload.operations_per_guest_hour * plan.guests / 3600.0
        self.run.kernel.call_later(self._stream.expovariate(rate), self._draw)

    def _draw(self) -> None:
        if not self.on:
            return
        action = self._stream.choices(self._actions, self._weights)[0]
        tenant = self._stream.choice(list(self.tenants.values()))
        instances = list(tenant.instances)
        instance_id = self._stream.choice(instances) if instances else None
        self.spawn(action, tenant, instance_id)
        if self._stream.random() < self.racing:
            self._race(action, tenant, instance_id)
        self._next()

    def _race(self, action: str, tenant: Tenant, instance_id: str | None) -> None:
        """The same request again, or one that gets in its way, or in somebody else's."""
        other = self._stream.choice(("same", "delete", "force_delete", "quota", "stranger"))
        later = self._stream.random() ** 2 * RACE_SECONDS
        self.run.inject("F21", f"{other} races {action} of {tenant.name}", instance_id)
        if other == "same":
            self.run.kernel.call_later(later, self.spawn, action, tenant, instance_id)
        elif other == "quota":
            self.run.kernel.call_later(later, self.spawn, "quota", tenant, instance_id)
        elif other == "stranger":
            stranger = self._stream.choice(list(self.tenants.values()))
            self.run.kernel.call_later(later, self.spawn, "delete", stranger, instance_id)
        else:
            newest = next(reversed(tenant.instances), None)
            self.run.kernel.call_later(later, self.spawn, other, tenant, newest)

    def noise(self, stream: random.Random) -> None:
        """One request of the tenant that floods the API."""
        tenant = self.tenant(NOISY)
        path, body = stream.choice(
            (
                ("/instances/detail", None),
                ("/instances", None),
                ("/flavors", None),
                ("/instances", _creation("noise", stream.randrange(1, 30))),
                ("/instances/" + "0" * 36, None),
            )
        )
        method = "GET" if body is None else "POST"
        self._begin(lambda: self._noisy(tenant, method, path, body), "noise")

    def _noisy(self, tenant: Tenant, method: str, path: str, body: Any) -> None:
        reply = self.request(tenant, method, path, body)
        if method == "POST" and reply.status == 200:
            tenant.instances[reply.document["instance"]["id"]] = None

    # -------------------------------------------------------------------------- requests

    def spawn(self, action: str, tenant: Tenant, instance_id: str | None) -> None:
        """Begin one action."""
        if self.on:
            self._begin(lambda: ACTIONS[action](self, tenant, instance_id), action)

    def _begin(self, function: Callable[[], None], name: str) -> None:
        self.run.kernel.spawn(function, f"tenant.{name}", "workload", self._ended)

    def _ended(self, coroutine: Coroutine) -> None:
        if coroutine.error is not None:
            self.errors.append(coroutine.error)

    def request(
        self, tenant: Tenant, method: str, path: str, body: Any = None, *, admin: bool = False
    ) -> Reply:
        """One request; the reply is counted. An administrator's has the operators' project."""
        token = self._operator if admin else tenant.token
        project = OPERATORS if admin else tenant.name
        headers = {"X-Auth-Token": token}
        content = b""
        if body is not None:
            headers["Content-Type"] = "application/json"
            content = json.dumps(body).encode()
        self.requests += 1
        reply = self.run.region.http(method, f"/v1.0/{project}{path}", headers, content)
        self.replies[reply.status] += 1
        self.run.kernel.trace("http", method, path, reply.status)
        return reply

    def _on(
        self, tenant: Tenant, instance_id: str | None, method: str, path: str, body: Any = None
    ) -> Reply | None:
        """A request on an instance; one that is gone is forgotten."""
        if instance_id is None:
            return None
        reply = self.request(tenant, method, f"/instances/{instance_id}{path}", body)
        if reply.status == 404 and not path:
            tenant.instances.pop(instance_id, None)
        return reply

    def _name(self, kind: str) -> str:
        return f"{kind}{self._names.randrange(6)}"

    # --------------------------------------------------------------------------- actions

    def _create(self, tenant: Tenant, _: str | None) -> None:
        body = _creation(self._name("db"), self._stream.randrange(1, 4))
        if self._stream.random() < 0.5:
            body["instance"]["databases"] = [{"name": "first"}]
            body["instance"]["users"] = [self._user("owner", ["first"])]
        reply = self.request(tenant, "POST", "/instances", body)
        if reply.status == 200:
            tenant.instances[reply.document["instance"]["id"]] = None

    def _user(self, name: str, databases: list[str]) -> dict[str, Any]:
        password = f"{SECRET_MARK}{self._names.getrandbits(64):016x}"
        return {"name": name, "password": password, "databases": [{"name": d} for d in databases]}

    def _delete(self, tenant: Tenant, instance_id: str | None) -> None:
        self._on(tenant, instance_id, "DELETE", "")

    def _show(self, tenant: Tenant, instance_id: str | None) -> None:
        self._on(tenant, instance_id, "GET", "")

    def _list(self, tenant: Tenant, _: str | None) -> None:
        self.request(tenant, "GET", self._stream.choice(("/instances", "/instances/detail")))

    def _create_user(self, tenant: Tenant, instance_id: str | None) -> None:
        body = {"users": [self._user(self._name("user"), [])]}
        self._on(tenant, instance_id, "POST", "/users", body)

    def _list_users(self, tenant: Tenant, instance_id: str | None) -> None:
        self._on(tenant, instance_id, "GET", "/users")

    def _change_password(self, tenant: Tenant, instance_id: str | None) -> None:
        user = self._user(self._name("user"), [])
        body = {"users": [{"name": user["name"], "password": user["password"]}]}
        self._on(tenant, instance_id, "PUT", "/users", body)

    def _delete_user(self, tenant: Tenant, instance_id: str | None) -> None:
        self._on(tenant, instance_id, "DELETE", f"/users/{quote(self._name('user'))}")

    def _create_database(self, tenant: Tenant, instance_id: str | None) -> None:
        body = {"databases": [{"name": self._name("schema")}]}
        self._on(tenant, instance_id, "POST", "/databases", body)

    def _list_databases(self, tenant: Tenant, instance_id: str | None) -> None:
        self._on(tenant, instance_id, "GET", "/databases")

    def _delete_database(self, tenant: Tenant, instance_id: str | None) -> None:
        self._on(tenant, instance_id, "DELETE", f"/databases/{self._name('schema')}")

    def _enable_root(self, tenant: Tenant, instance_id: str | None) -> None:
        self._on(tenant, instance_id, "POST", "/root")

    def _show_root(self, tenant: Tenant, instance_id: str | None) -> None:
        self._on(tenant, instance_id, "GET", "/root")

    def _restart(self, tenant: Tenant, instance_id: str | None) -> None:
        self._on(tenant, instance_id, "POST", "/action", {"restart": {}})

    def _rename(self, tenant: Tenant, instance_id: str | None) -> None:
        body = {"instance": {"name": self._name("renamed")}}
        self._on(tenant, instance_id, "PUT", "", body)

    def _write(self, tenant: Tenant, instance_id: str | None) -> None:
        """An application writes a row; no call of the API."""
        for guest in self.run.fleet.of_instance(instance_id or ""):
            self.run.fleet.write(
                guest.server_id, self._name("schema"), self._name("key"), self._name("value")
            )

    def _limits(self, tenant: Tenant, _: str | None) -> None:
        self.request(tenant, "GET", "/limits")

    def _quota(self, tenant: Tenant, _: str | None) -> None:
        """An operator lowers a limit, perhaps below what is used, or sets it right again."""
        self._set_quota(tenant, self._stream.choice((0, 1, 3, 10, 10, 20)))

    def _set_quota(self, tenant: Tenant, instances: int) -> None:
        body = {"quotas": {"instances": instances, "volumes": instances * 4}}
        path = f"/mgmt/quotas/{tenant.name}"
        reply = self.request(tenant, "PUT", path, body, admin=True)
        if reply.status == 200 and instances < 10:
            self._lowered[tenant.name] = None

    def _force_delete(self, tenant: Tenant, instance_id: str | None) -> None:
        """As Trove's client does it: an operator's reset of the status, then the delete."""
        if instance_id is None:
            return
        path = f"/instances/{instance_id}"
        if self._stream.random() < 0.5:
            self.request(tenant, "POST", f"{path}/action", {"force_delete": {}}, admin=True)
        else:
            self.request(tenant, "POST", f"{path}/action", {"reset_status": {}}, admin=True)
            self.request(tenant, "DELETE", path)

    def _reset_status(self, tenant: Tenant, instance_id: str | None) -> None:
        if instance_id is not None:
            path = f"/instances/{instance_id}/action"
            self.request(tenant, "POST", path, {"reset_status": {}}, admin=True)

    def _empty(self, tenant: Tenant) -> None:
        for _ in range(EMPTYING_ATTEMPTS):
            left = self._listed(tenant)
            if left is not None and not left:
                return
            for instance in left or ():
                if instance["status"] != "SHUTDOWN":
                    self.request(tenant, "DELETE", f"/instances/{instance['id']}")
            self.run.kernel.sleep(EMPTYING_PAUSE_SECONDS)

    def _listed(self, tenant: Tenant) -> list[dict[str, Any]] | None:
        """The first page of a tenant's instances; what is deleted makes room for the next."""
        reply = self.request(tenant, "GET", "/instances")
        return list(reply.document["instances"]) if reply.status == 200 else None


ACTIONS: Final[dict[str, Callable[[Workload, Tenant, str | None], None]]] = {
    "create": Workload._create,
    "delete": Workload._delete,
    "show": Workload._show,
    "list": Workload._list,
    "create_user": Workload._create_user,
    "list_users": Workload._list_users,
    "change_password": Workload._change_password,
    "delete_user": Workload._delete_user,
    "create_database": Workload._create_database,
    "list_databases": Workload._list_databases,
    "delete_database": Workload._delete_database,
    "enable_root": Workload._enable_root,
    "show_root": Workload._show_root,
    "restart": Workload._restart,
    "rename": Workload._rename,
    "write": Workload._write,
    "limits": Workload._limits,
    "quota": Workload._quota,
    "force_delete": Workload._force_delete,
    "reset_status": Workload._reset_status,
}
"""All actions by the name that a plan's mix uses."""


def _creation(name: str, size: int) -> dict[str, Any]:
    return {
        "instance": {
            "name": name,
            "flavorRef": "1",
            "volume": {"size": size},
            "datastore": {"type": "mariadb", "version": "10.11"},
        }
    }
