"""Rollouts and groups of a restored table learn what is done to them, and how it has ended."""

from __future__ import annotations

import pytest

from chalicelib import aws
from chalicelib.domain.flows import ROLL_OUT
from chalicelib.domain.operations import OperationStatus
from chalicelib.domain.rollouts import Wanted
from chalicelib.status import RolloutStatus
from chalicelib.store import accepting, restoring_many, rollouts
from chalicelib.store.base import ConditionFailed
from chalicelib.store.ending import Ending, end_operation
from chalicelib.store.models import Operation, Rollout
from chalicelib.store.operations import operation_of
from tests.support.rows import TENANT, WHO

pytestmark = pytest.mark.usefixtures("plain_world")
COUNTED = {"rebuilt": 3, "failed": 1}


def begun() -> tuple[Rollout, Operation]:
    """A rollout that runs, and its operation."""
    row = rollouts.new_rollout(TENANT, Wanted("image-1"))
    operation = operation_of(row, ROLL_OUT, arguments=dict(row.asked), asked=WHO)
    accepting.accept_create(row, operation, {})
    operation.update(actions=[Operation.resources.set(COUNTED)])
    return now(row), operation


def now(row: Rollout) -> Rollout:
    return Rollout.get(row.id)


def put_right(row: Rollout) -> str:
    """What was wrong; there is nothing afterwards."""
    told, actions = restoring_many.wrong(row) or ("", [])
    restoring_many.mend(row, actions)
    assert restoring_many.wrong(now(row)) is None
    return told


def test_one_that_is_told_right_is_left_alone() -> None:
    row, operation = begun()
    assert restoring_many.wrong(row) is None
    end_operation(operation, Ending(OperationStatus.SUCCEEDED))
    assert restoring_many.wrong(now(row)) is None


@pytest.mark.parametrize("status", [RolloutStatus.RUNNING, RolloutStatus.COMPLETED])
def test_one_of_before_its_operation_learns_that_it_is_under_way(status: RolloutStatus) -> None:
    row, operation = begun()
    row.update(actions=[Rollout.operation_id.remove(), Rollout.status.set(status)])
    aws.sleep(60)
    assert put_right(row) == "roll_out is under way"
    found = now(row)
    assert (found.operation_id, found.status) == (operation.id, RolloutStatus.RUNNING)
    assert found.updated == aws.clock()


@pytest.mark.parametrize(
    ("ended", "status", "reason"),
    [
        (OperationStatus.SUCCEEDED, RolloutStatus.COMPLETED, None),
        (OperationStatus.FAILED, RolloutStatus.FAILED, "No host."),
    ],
)
def test_one_of_before_its_end_learns_how_it_has_ended(
    ended: OperationStatus, status: RolloutStatus, reason: str | None
) -> None:
    row, operation = begun()
    before = dict(row.attribute_values)
    end_operation(operation, Ending(ended, reason or ""))
    Rollout(**before).save()
    assert put_right(Rollout(**before)) == f"roll_out has {ended}"
    found = now(row)
    assert (found.status, found.operation_id, found.fault_message) == (status, None, reason)
    assert (found.progress or {})["rebuilt"] == 3
    assert found.expires is not None


def test_one_whose_operation_is_lost_has_failed() -> None:
    row, operation = begun()
    operation.delete()
    assert put_right(row) == "its operation is lost"
    assert (now(row).status, now(row).fault_message) == (RolloutStatus.FAILED, restoring_many.LOST)


def test_nothing_is_written_over_what_came_meanwhile() -> None:
    row, operation = begun()
    operation.delete()
    _, actions = restoring_many.wrong(row) or ("", [])
    Rollout(row.id).update(actions=[Rollout.operation_id.set("another")])
    with pytest.raises(ConditionFailed):
        restoring_many.mend(row, actions)
    assert now(row).status == RolloutStatus.RUNNING
