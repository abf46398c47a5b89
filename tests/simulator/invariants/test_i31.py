"""I31, broken on purpose, is told."""

from __future__ import annotations

from chalicelib.api.operations import CANCELLED
from chalicelib.store.models import Operation
from simulator.kernel import START
from simulator.region import Reply
from tests.simulator.deployment import Deployment
from tests.simulator.invariants.breaking import operation, replied, told_by


def not_told(deployment: Deployment) -> None:
    row = operation(deployment)
    row.update(actions=[Operation.status.set("RUNNING")])
    path = f"/v1.0/{row.tenant_id}/instances/{row.instance_id}/operations/{row.id}"
    replied(deployment, "DELETE", path, Reply(202, {}, b""))


def cancelled(deployment: Deployment, ended: str) -> None:
    """An operation that is cancelled before its last step, and ends all the same."""
    row = operation(deployment)
    row.update(actions=[Operation.status.set("RUNNING"), Operation.started["complete"].remove()])
    row.update(actions=[Operation.cancelled.set(CANCELLED)])
    row.update(actions=[Operation.status.set(ended)])


def went_on(deployment: Deployment) -> None:
    cancelled(deployment, "SUCCEEDED")


def not_undone(deployment: Deployment) -> None:
    deployment.invariants.hub.fair_since = START
    cancelled(deployment, "CANCELLED")


def for_another_reason(deployment: Deployment) -> None:
    without_a_reason(deployment, "CANCELLED")


def given_up_for_another_reason(deployment: Deployment) -> None:
    without_a_reason(deployment, "FAILED")


def without_a_reason(deployment: Deployment, ended: str) -> None:
    cancelled(deployment, ended)
    texts = [each.text for each in deployment.invariants.each["I31"].violations]
    assert any("was cancelled, and says: None" in each for each in texts), texts


test_a_broken_promise_is_told = told_by(
    "I31", not_told, went_on, not_undone, for_another_reason, given_up_for_another_reason
)
