"""I1, broken on purpose, is told."""

from __future__ import annotations

from chalicelib.store.models import Instance, Operation
from tests.simulator.deployment import Deployment
from tests.simulator.invariants.breaking import instance, operation, told_by


def revived(deployment: Deployment) -> None:
    instance(deployment).update(actions=[Instance.status.set("BUILD")])


def in_error_without_an_expulsion(deployment: Deployment) -> None:
    instance(deployment).update(actions=[Instance.status.set("ERROR")])


def operation_reopened(deployment: Deployment) -> None:
    operation(deployment).update(actions=[Operation.status.set("RUNNING")])


test_a_broken_promise_is_told = told_by(
    "I1", revived, in_error_without_an_expulsion, operation_reopened
)


def test_a_violation_is_explained_by_the_life_of_its_instance(deployment: Deployment) -> None:
    revived(deployment)
    text = deployment.explain()
    assert "I1 is broken" in text
    for told in ("made: BUILD", "volumes.create", "status BUILD → ACTIVE", "ACTIVE → BUILD"):
        assert told in text
