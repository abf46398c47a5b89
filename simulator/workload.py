"""When tenants and operators ask, who, and what for: drawn from one stream, each a coroutine.

A tenant knows what it made from the replies alone, as a real client does. How often, and what, the
plan says; what races (F21) and what floods (F22), the faults say. `actions.py` has the requests.
"""

from __future__ import annotations

import json
import random
from collections import Counter
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from chalicelib.store.limits import set_limits
from simulator.actions import ACTIONS, NAMES, USUAL_LIMITS, creation, set_quota
from simulator.kernel import Coroutine
from simulator.mix import USUAL_MIX
from simulator.region import Reply

if TYPE_CHECKING:
    from simulator.run import Run

RACE_SECONDS: Final = 3.0
EMPTYING_ATTEMPTS: Final = 60
EMPTYING_PAUSE_SECONDS: Final = 60.0
SPREAD_SECONDS: Final = 120.0
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
NOISY: Final = "noisy"
OPERATORS: Final = "operators"


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
        self.asked = 0
        """What was asked for while it was on, without floods and the emptying."""
        self.replies: Counter[int] = Counter()
        self.errors: list[BaseException] = []
        self.stream = run.kernel.stream("workload")
        self.names = run.kernel.stream("workload names")
        self.keys = run.kernel.stream("workload keys")
        self.tenants: dict[str, Tenant] = {}
        self.lowered: dict[str, None] = {}
        """Tenants whose limits are not the usual ones."""
        mix = run.plan.workload.mix or USUAL_MIX
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

    def admit(self) -> None:
        """Let the tenants of the plan in, with the limits that it gives them."""
        plan = self.run.plan
        for number in range(-(-plan.guests // plan.workload.guests_per_tenant)):
            tenant = self.tenant(f"tenant-{number}")
            if plan.workload.limits:
                set_limits(tenant.name, plan.workload.limits)

    def start(self) -> None:
        """Begin; without a population the guests of the plan are created first."""
        self.on = True
        plan = self.run.plan
        if not plan.prepared:
            for number in range(plan.guests):
                tenant = self.tenants[f"tenant-{number // plan.workload.guests_per_tenant}"]
                self.run.kernel.call_later(
                    self.stream.random() * SPREAD_SECONDS, self.spawn, "create", tenant, None
                )
        if plan.workload.operations_per_guest_hour:
            self._next()

    def stop(self) -> None:
        """Begin nothing more, and set the limits right that were lowered."""
        self.on = False
        for name in self.lowered:
            tenant = self.tenants[name]
            self._begin(partial(set_quota, self, tenant, USUAL_LIMITS), "quota")

    def empty(self) -> None:
        """Delete everything, again and again until nothing is left; a coroutine a tenant."""
        for tenant in self.tenants.values():
            self._begin(partial(self._empty, tenant), "empty")

    def _next(self) -> None:
        plan = self.run.plan
        rate = plan.workload.operations_per_guest_hour * plan.guests / 3600.0
        rate /= plan.workload.at_once
        self.run.kernel.call_later(self.stream.expovariate(rate), self._draw)

    def _draw(self) -> None:
        if not self.on:
            return
        for _ in range(self.run.plan.workload.at_once):
            self._one()
        self._next()

    def _one(self) -> None:
        action = self.stream.choices(self._actions, self._weights)[0]
        tenant = self.stream.choice(list(self.tenants.values()))
        instances = list(tenant.instances)
        instance_id = self.stream.choice(instances) if instances else None
        self.spawn(action, tenant, instance_id)
        if self.stream.random() < self.racing:
            self._race(action, tenant, instance_id)

    def _race(self, action: str, tenant: Tenant, instance_id: str | None) -> None:
        """The same request again, or one that gets in its way, or in somebody else's."""
        other = self.stream.choice(("same", "delete", "force_delete", "quota", "stranger"))
        later = self.stream.random() ** 2 * RACE_SECONDS
        self.run.inject("F21", f"{other} races {action} of {tenant.name}", instance_id)
        if other == "same":
            self.run.kernel.call_later(later, self.spawn, action, tenant, instance_id)
        elif other == "quota":
            self.run.kernel.call_later(later, self.spawn, "quota", tenant, instance_id)
        elif other == "stranger":
            stranger = self.stream.choice(list(self.tenants.values()))
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
                ("/instances", creation("noise", stream.randrange(1, 30))),
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
            self.asked += 1
            self._begin(lambda: ACTIONS[action](self, tenant, instance_id), action)

    def _begin(self, function: Callable[[], None], name: str) -> None:
        self.run.kernel.spawn(function, f"tenant.{name}", "workload", self._ended)

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
            self.run.kernel.call_later(after, self._again, tenant, path, again, key)
        return self.request(tenant, "POST", path, body, key=key)

    def _again(self, tenant: Tenant, path: str, body: Any, key: str) -> None:
        if self.on:
            self._begin(lambda: self._learn(tenant, path, body, key), "again")

    def _learn(self, tenant: Tenant, path: str, body: Any, key: str) -> None:
        """Send a request again; its first answer may have been lost, and with it an instance."""
        reply = self.request(tenant, "POST", path, body, key=key)
        if path == "/instances" and reply.status == 200:
            tenant.instances[reply.document["instance"]["id"]] = None

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
        reply = self.run.region.http(method, f"/v1.0/{project}{path}", headers, content)
        self.replies[reply.status] += 1
        self.run.kernel.trace("http", method, path, reply.status)
        return reply

    def name(self, kind: str) -> str:
        """One of the few names that there are of a kind."""
        return f"{kind}{self.names.randrange(NAMES)}"

    def several(self, kind: str) -> list[str]:
        """Names for a list in a body: mostly one, at most as many as the plan allows."""
        most = self.run.plan.workload.most_in_a_list
        count = self.names.randint(1, most) if self.names.random() < LONG_LISTS else 1
        names = [self.name(kind)]
        return names + [f"{kind}-{number}" for number in range(count - 1)]

    def _empty(self, tenant: Tenant) -> None:
        for _ in range(EMPTYING_ATTEMPTS):
            left = self._listed(tenant)
            if left is not None and not left:
                return
            for instance in left or ():
                if instance["status"] != "SHUTDOWN":
                    self._remove(tenant, f"/instances/{instance['id']}")
            self.run.kernel.sleep(EMPTYING_PAUSE_SECONDS)

    def _remove(self, tenant: Tenant, path: str) -> None:
        if self.request(tenant, "DELETE", path).status == 409:
            self.request(tenant, "PUT", path, {"instance": {"deletion_protection": False}})
            self.request(tenant, "DELETE", path)

    def _listed(self, tenant: Tenant) -> list[dict[str, Any]] | None:
        """The first page of a tenant's instances; what is deleted makes room for the next."""
        reply = self.request(tenant, "GET", "/instances")
        return list(reply.document["instances"]) if reply.status == 200 else None
