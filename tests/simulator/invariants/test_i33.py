"""I33, broken on purpose, is told."""

from __future__ import annotations

from typing import Any

from chalicelib.domain.flows import REBUILD, ROLL_OUT
from chalicelib.domain.operations import OperationStatus
from chalicelib.domain.rollouts import Progress, Wanted
from chalicelib.store.children import child_of
from chalicelib.store.models import Operation
from chalicelib.store.operations import operation_of
from chalicelib.store.rollouts import new_rollout
from tests.simulator.deployment import Deployment
from tests.simulator.invariants.breaking import instance, told_by


def parent(deployment: Deployment, **counted: Any) -> Operation:
    """A rollout of one at a time that runs, and has begun a rebuild which has succeeded."""
    asked = Wanted("image-1", "version-1")
    row = new_rollout("operators", asked)
    made = operation_of(row, ROLL_OUT, arguments=row.asked)
    row.operation_id, made.resources = made.id, Progress(**counted).recorded()
    made.save()
    row.save()
    child(deployment, made, OperationStatus.SUCCEEDED)
    return made


def child(deployment: Deployment, of: Operation, status: str, number: int = 1) -> None:
    made = child_of(of, instance(deployment), REBUILD, {})
    made.id, made.subject_id, made.status = f"{made.id}{number}", f"other-{number}", status
    made.save()


def one_too_many(deployment: Deployment) -> None:
    made = parent(deployment)
    for number in (2, 3):
        child(deployment, made, OperationStatus.RUNNING, number)


def one_twice(deployment: Deployment) -> None:
    made = parent(deployment)
    again = child_of(made, instance(deployment), REBUILD, {})
    again.id, again.subject_id, again.status = "again", "other-1", OperationStatus.SUCCEEDED
    again.save()


def one_after_it_was_stopped(deployment: Deployment) -> None:
    made = parent(deployment)
    made.update(actions=[Operation.cancelled.set("stopped")])
    child(deployment, made, OperationStatus.RUNNING, 2)


def one_that_was_not_counted(deployment: Deployment) -> None:
    parent(deployment).update(actions=[Operation.status.set(OperationStatus.SUCCEEDED)])


def one_left_out(deployment: Deployment) -> None:
    """The instance is of the version, at nothing, and on another image."""
    deployment.run(60)
    row = new_rollout("operators", Wanted("image-1", instance(deployment).datastore_version_id))
    made = operation_of(row, ROLL_OUT, arguments=row.asked)
    row.operation_id, made.resources = made.id, Progress().recorded()
    made.save()
    row.save()
    made.update(actions=[Operation.status.set(OperationStatus.SUCCEEDED)])
    texts = [each.text for each in deployment.invariants.each["I33"].violations]
    assert any("has left it out" in each for each in texts), texts


def ended_before_its_child(deployment: Deployment) -> None:
    made = parent(deployment, rebuilt=1)
    child(deployment, made, OperationStatus.RUNNING, 2)
    made.update(actions=[Operation.status.set(OperationStatus.SUCCEEDED)])


test_a_broken_promise_is_told = told_by(
    "I33",
    one_too_many,
    one_twice,
    one_after_it_was_stopped,
    one_that_was_not_counted,
    one_left_out,
    ended_before_its_child,
)
