"""When tenants and operators ask, who, and what for: drawn from one stream, each a coroutine.

How often, and what, the plan says; what races (F21) and what floods (F22), the faults say.
`actions.py` has the requests, `clients.py` who makes them.
"""

from __future__ import annotations

import random
from functools import partial
from typing import Any, Final

from chalicelib import engines
from chalicelib.engines.engine import Part
from chalicelib.store.limits import set_limits
from simulator.actions import ACTIONS, PART_OF, UNFIT, USUAL_LIMITS, creation, set_quota
from simulator.clients import Clients, Tenant
from simulator.mix import USUAL_MIX
from simulator.world import World

RACE_SECONDS: Final = 3.0
RIVALS: Final = {
    "create_backup": ("resize_volume", "cancel", "delete", "restart"),
    "restore": ("delete_backup",),
    "delete_backup": ("restore", "create_backup"),
    "import_backup": ("delete_backup", "restore"),
    "set_strategy": ("create_backup", "set_strategy", "drop_strategy"),
    "create_schedule": ("create_schedule", "delete", "stop"),
    "change_schedule": ("change_schedule", "delete_schedule"),
    "delete_after_backup": ("delete", "cancel", "protect"),
    "verify_backup": ("delete_backup", "cancel", "rebuild"),
    "archive_log": ("delete_schedule", "change_schedule", "rebuild", "delete"),
    "restore_to_moment": ("delete_backup", "delete_schedule", "purge_log"),
}
"""What gets in the way of a backup, beside what gets in everything's."""
EMPTYING_ATTEMPTS: Final = 60
EMPTYING_PAUSE_SECONDS: Final = 60.0
PAGE_PAUSE_SECONDS: Final = 1.0
SPREAD_SECONDS: Final = 120.0
NOISY: Final = "noisy"
DELETABLE: Final = ("COMPLETED", "RESTORED", "FAILED", "DELETE_FAILED")
IN_ITS_PLACE: Final = "write"
"""What the applications of a datastore do that has nothing of what was drawn."""


class Workload(Clients):
    """All requests of a run. `racing` and `noise` are what F21 and F22 ask for."""

    def __init__(self, world: World) -> None:
        super().__init__(world)
        self.racing = 0.0
        self.asked = 0
        """What was asked for while it was on, without floods and the emptying."""
        mix = world.plan.workload.mix or USUAL_MIX
        self._actions = [name for name in ACTIONS if mix.get(name, 0) > 0]
        self._weights = [mix[name] for name in self._actions]

    # ------------------------------------------------------------------------ begin, end

    def admit(self) -> None:
        """Let the tenants of the plan in, with the limits that it gives them."""
        plan = self.world.plan
        for number in range(-(-plan.guests // plan.workload.guests_per_tenant)):
            tenant = self.tenant(f"tenant-{number}")
            if plan.workload.limits:
                set_limits(tenant.name, plan.workload.limits)

    def start(self) -> None:
        """Begin; without a population the guests of the plan are created first."""
        self.on = True
        plan = self.world.plan
        if not plan.prepared:
            for number in range(plan.guests):
                tenant = self.tenants[f"tenant-{number // plan.workload.guests_per_tenant}"]
                self.world.kernel.call_later(
                    self.stream.random() * SPREAD_SECONDS, self.spawn, "create", tenant, None
                )
        if plan.workload.schedule:
            for tenant in self.tenants.values():
                self.begin(partial(self._schedule, tenant), "schedules")
        if plan.workload.operations_per_guest_hour:
            self._next()

    def stop(self) -> None:
        """Begin nothing more, by schedules neither, and set the limits right that were lowered."""
        self.on = False
        for name in self.lowered:
            tenant = self.tenants[name]
            self.begin(partial(set_quota, self, tenant, USUAL_LIMITS), "quota")
        for tenant in self.tenants.values():
            self.begin(partial(self._end_schedules, tenant), "schedules")

    def empty(self) -> None:
        """Delete everything, again and again until nothing is left; a coroutine a tenant."""
        for tenant in self.tenants.values():
            self.begin(partial(self._empty, tenant), "empty")

    def _next(self) -> None:
        plan = self.world.plan
        rate = plan.workload.operations_per_guest_hour * plan.guests / 3600.0
        rate /= plan.workload.at_once
        self.world.kernel.call_later(self.stream.expovariate(rate), self._draw)

    def _draw(self) -> None:
        if not self.on:
            return
        for _ in range(self.world.plan.workload.at_once):
            self._one()
        self._next()

    def _one(self) -> None:
        action = self.stream.choices(self._actions, self._weights)[0]
        tenant = self.stream.choice(list(self.tenants.values()))
        instances = list(tenant.instances)
        instance_id = self.stream.choice(instances) if instances else None
        if instance_id is not None and not self._fits(action, tenant.instances[instance_id]):
            action = IN_ITS_PLACE
        self.spawn(action, tenant, instance_id)
        if self.stream.random() < self.racing:
            self._race(action, tenant, instance_id)

    def _fits(self, action: str, datastore: str) -> bool:
        """Whether it is asked for there: now and then what the datastore has not, too."""
        part = PART_OF.get(action, Part.SERVER)
        return engines.can(datastore, part) or self.stream.random() < UNFIT

    def _race(self, action: str, tenant: Tenant, instance_id: str | None) -> None:
        """The same request again, or one that gets in its way, or in somebody else's."""
        other = self.stream.choice(("same", "delete", "force_delete", "quota", "stranger"))
        if action in RIVALS and self.stream.random() < 0.5:
            other = self.stream.choice(RIVALS[action])
        later = self.stream.random() ** 2 * RACE_SECONDS
        self.world.inject("F21", f"{other} races {action} of {tenant.name}", instance_id)
        if other == "same":
            self.world.kernel.call_later(later, self.spawn, action, tenant, instance_id)
        elif other == "quota" or other in RIVALS.get(action, ()):
            self.world.kernel.call_later(later, self.spawn, other, tenant, instance_id)
        elif other == "stranger":
            stranger = self.stream.choice(list(self.tenants.values()))
            self.world.kernel.call_later(later, self.spawn, "delete", stranger, instance_id)
        else:
            newest = next(reversed(tenant.instances), None)
            self.world.kernel.call_later(later, self.spawn, other, tenant, newest)

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
        self.begin(lambda: self._noisy(tenant, method, path, body), "noise")

    def _noisy(self, tenant: Tenant, method: str, path: str, body: Any) -> None:
        reply = self.request(tenant, method, path, body)
        if method == "POST" and reply.status == 200:
            self.learn(tenant, reply)

    # -------------------------------------------------------------------------- requests

    def spawn(self, action: str, tenant: Tenant, instance_id: str | None) -> None:
        """Begin one action."""
        if self.on:
            self.asked += 1
            self.begin(lambda: ACTIONS[action](self, tenant, instance_id), action)

    def _schedule(self, tenant: Tenant) -> None:
        """Have each of a tenant's guests backed up as the plan says."""
        for instance_id in list(tenant.instances):
            times = {"name": "s", "instance": instance_id, **self.world.plan.workload.schedule}
            for _ in range(EMPTYING_ATTEMPTS):
                reply = self.request(
                    tenant, "POST", "/backup_schedules", {"backup_schedule": times}
                )
                if reply.status < 500:
                    assert reply.status == 200, reply.body
                    self.learn_schedule(tenant, reply)
                    break
                self.world.kernel.sleep(EMPTYING_PAUSE_SECONDS)

    def _end_schedules(self, tenant: Tenant) -> None:
        for _ in range(EMPTYING_ATTEMPTS):
            listed = self._listed(tenant, "backup_schedules")
            if listed == []:
                return
            for each in listed or ():
                self.request(tenant, "DELETE", f"/backup_schedules/{each['id']}")
            self.world.kernel.sleep(PAGE_PAUSE_SECONDS if listed else EMPTYING_PAUSE_SECONDS)

    def _empty(self, tenant: Tenant) -> None:
        for _ in range(EMPTYING_ATTEMPTS):
            left, backups = self._listed(tenant, "instances"), self._listed(tenant, "backups")
            if left == [] and backups == []:
                return
            for instance in left or ():
                if instance["status"] != "SHUTDOWN":
                    self._remove(tenant, f"/instances/{instance['id']}")
            for backup in backups or ():
                if not backup["children"] and backup["status"] in DELETABLE:
                    self.request(tenant, "DELETE", f"/backups/{backup['id']}")
            self.world.kernel.sleep(EMPTYING_PAUSE_SECONDS)

    def _remove(self, tenant: Tenant, path: str) -> None:
        if self.request(tenant, "DELETE", path).status == 409:
            self.request(tenant, "PUT", path, {"instance": {"deletion_protection": False}})
            self.request(tenant, "DELETE", path)

    def _listed(self, tenant: Tenant, what: str) -> list[dict[str, Any]] | None:
        """The first page of what a tenant has; what is deleted makes room for the next."""
        reply = self.request(tenant, "GET", f"/{what}")
        return list(reply.document[what]) if reply.status == 200 else None
