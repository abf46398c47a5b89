"""I19: what one tenant, or a sender of junk, can occupy is bounded."""

from __future__ import annotations

from collections import Counter, deque
from typing import Final

from chalicelib.conductor.dead_letters import KIND as POISONED
from chalicelib.conductor.heartbeats import REFUSED
from chalicelib.settings import settings
from chalicelib.store.events import BUS
from chalicelib.store.guests import REQUESTS_A_MINUTE
from simulator.aws.dynamodb.values import Item
from simulator.invariants.base import Invariant

COUNTED: Final = frozenset({POISONED, REFUSED})
"""Kinds of events of which anybody who can send may make as many as it likes."""


MINUTE: Final = 60.0


class Bounds(Invariant):
    """Looks at the slots of calls in flight, who calls without one, rows about junk, and how often
    a guest's requests over HTTPS are taken."""

    id = "I19"
    title = "Calls in flight, rows about what is refused, and a guest's requests are bounded"

    def watch(self) -> None:
        self._taken: set[str] = set()
        self._requests: dict[tuple[str, int], deque[float]] = {}
        self.hub.on_write("guests", self._requested)
        self.hub.on_write("calls", self._slots)
        self.hub.on_write("commands", self._asked)
        self.hub.on_write("events", self._recorded)

    def _slots(self, _: Item | None, new: Item | None) -> None:
        if new is None:
            return
        self.exercised += 1
        slots = new.get("slots", {})
        self._taken.update(each.partition("_")[0] for each in slots)
        chosen = settings()
        if len(slots) > chosen.calls_per_tenant:
            self.broken(f"{len(slots)} calls of {new['tenant_id']} are in flight")
        for instance_id, count in Counter(each["instance_id"] for each in slots.values()).items():
            if count > chosen.calls_per_instance:
                self.broken(f"{count} calls of its guest are in flight", instance_id)

    def _asked(self, old: Item | None, new: Item | None) -> None:
        """A command that belongs to no operation is a call."""
        if old is not None or new is None or "operation_id" in new:
            return
        self.exercised += 1
        if new["id"] not in self._taken:
            self.broken(f"{new['method']} was called without a slot", new["instance_id"])

    def _requested(self, old: Item | None, new: Item | None) -> None:
        """Within a minute a bucket empties once, and may have been empty before."""
        if old is None or new is None or old.get("issued_at_ms") == new.get("issued_at_ms"):
            return
        self.exercised += 1
        now = self.hub.run.kernel.now
        taken = self._requests.setdefault((new["instance_id"], int(new["generation"])), deque())
        taken.append(now)
        while taken[0] < now - MINUTE:
            taken.popleft()
        if len(taken) > 2 * REQUESTS_A_MINUTE:
            self.broken(f"{len(taken)} requests of a guest in a minute", new["instance_id"])

    def check_healed(self) -> None:
        """Who dies while it calls leaves its slot to the call's deadline; nobody else does."""
        for row in self.hub.rows("calls") if self.hub.calm else ():
            self.exercised += 1
            if row["slots"]:
                self.broken(f"{len(row['slots'])} calls of {row['tenant_id']} never gave back")

    def _recorded(self, _: Item | None, new: Item | None) -> None:
        if new is None or new["kind"] not in COUNTED:
            return
        self.exercised += 1
        if "times" not in new or not new["scope"].startswith(f"{BUS}/"):
            self.broken(f"a {new['kind']} has a row of its own")
