"""I3, broken on purpose, is told."""

from __future__ import annotations

from chalicelib import aws
from chalicelib.store.models import Operation
from tests.simulator.deployment import Deployment
from tests.simulator.invariants.breaking import operation, told_by


def two_live_operations(deployment: Deployment) -> None:
    for number in ("1", "2"):
        row = operation(deployment)
        row.id, row.status, row.live, row.check_at = number, "RUNNING", "live", 1
        row.save()


def lease_taken(deployment: Deployment) -> None:
    row = operation(deployment)
    until = aws.clock() + 20
    for number in ("1", "2"):
        row.update(actions=[Operation.lease_id.set(number), Operation.lease_until.set(until)])


test_a_broken_promise_is_told = told_by("I3", two_live_operations, lease_taken)
