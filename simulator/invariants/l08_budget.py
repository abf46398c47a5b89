"""L8: calls stay within the published budget per operation, request and guest-hour.

The budgets are what each costs without faults (about 45 calls of AWS for a create, 30 for a delete,
60 heartbeats an hour), with room; faults may double them. A retry storm does not fit.
"""

from __future__ import annotations

from typing import Final

from chalicelib.domain.flows import FLOWS
from simulator.aws.dynamodb.values import Item
from simulator.invariants.base import Invariant
from simulator.invariants.hub import Exchange
from simulator.kernel import START

FLOW_CALLS: Final = 10
STEP_CALLS: Final = 12
"""Of AWS, for an operation by itself and for each step that it goes forward."""
REQUEST_CALLS: Final = 65
"""A synchronous guest call polls its row up to 55 times."""
GUEST_HOUR_CALLS: Final = 300
"""60 heartbeats: a send, a batch read and a write each; renewals; a receive per command."""
CONTROL_HOUR_CALLS: Final = 2500
"""60 sweeps of each operation that is due, 6 runs of the maintenance."""
LOOKS_AN_HOUR: Final = 6
"""Runs of each job that looks at the whole cloud."""
LOOK_CALLS: Final = 10
"""Of one such run of either side, whatever the fleet's size."""
PAGE: Final = 500
"""Things that a job reads at a time: it makes one call for so many of a kind, and no other."""
KINDS: Final = 5
"""Servers, volumes, ports, groups, floating addresses: one of each for a guest."""
PAGE_CALLS: Final = 8
"""Of AWS for a page: the rows of its instances, a hundred at a time; the place where it stopped."""
CLOUD_CALLS: Final = 120
"""Calls of OpenStack per operation, polls of a slow server included."""
STORM: Final = 2.0
"""What faults may multiply the budget by."""
_AWS: Final = frozenset({"dynamodb", "sqs", "stepfunctions", "sts", "ssm", "kms"})


class Budget(Invariant):
    """Adds up all calls and what they were made for."""

    id = "L8"
    title = "Calls stay within the published budget per guest-hour and per operation"

    def watch(self) -> None:
        self._operations = self._steps = self._requests = 0
        self._guest_hours = 0.0
        self._counted_at = self.hub.run.kernel.now
        self.hub.on_write("operations", self._accepted)
        self.hub.on_reply(self._replied)

    def _accepted(self, old: Item | None, new: Item | None) -> None:
        if old is not None or new is None:
            return
        self._operations += 1
        self._steps += len(FLOWS[str(new["action"])].steps)

    def _replied(self, _: Exchange) -> None:
        self._requests += 1

    def check(self) -> None:
        now = self.hub.run.kernel.now
        self._guest_hours += len(self.hub.run.fleet) * (now - self._counted_at) / 3600.0
        self._counted_at = now

    def check_healed(self) -> None:
        self.check()
        hours = (self.hub.run.kernel.now - START) / 3600.0
        calls = self.hub.run.region.effects.calls
        aws = sum(count for (_, service, _), count in calls.items() if service in _AWS)
        cloud = sum(count for (_, service, _), count in calls.items() if service == "openstack")
        pages = KINDS * (self._guest_hours + len(self.hub.run.fleet)) * LOOKS_AN_HOUR / PAGE
        budget = STORM * (
            self._operations * FLOW_CALLS
            + self._steps * STEP_CALLS
            + self._requests * REQUEST_CALLS
            + self._guest_hours * GUEST_HOUR_CALLS
            + (hours + 1) * CONTROL_HOUR_CALLS
            + pages * PAGE_CALLS
        )
        self.exercised += 1
        if aws > budget:
            self.broken(f"{aws} calls of AWS, {budget:.0f} are allowed: {self._most()}")
        looks = (hours + 1) * LOOKS_AN_HOUR * LOOK_CALLS
        allowed = STORM * (self._operations * CLOUD_CALLS + looks + pages)
        if cloud > allowed:
            self.broken(f"{cloud} calls of OpenStack, {allowed:.0f} are allowed: {self._most()}")

    def _most(self) -> str:
        most = self.hub.run.region.effects.calls.most_common(5)
        return ", ".join(f"{scope} {call} {count}" for (scope, _, call), count in most)
