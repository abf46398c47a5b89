"""A hint that was lost is found beside 25,000 operations that wait for their guests."""

from __future__ import annotations

from typing import Any, Final

import pytest

from chalicelib.domain.operations import OperationStatus
from chalicelib.store import operations
from chalicelib.store.models import Operation
from chalicelib.taskmanager import sweeper
from tests.support.rows import accepted, create_operation, new_instance
from tests.support.stack import Stack

WAITING: Final = 25_000
LOOK_SECONDS: Final = 0.03
"""What a look at one operation takes: three calls."""


@pytest.fixture
def backlog(request: pytest.FixtureRequest, stack: Stack, monkeypatch: pytest.MonkeyPatch) -> Stack:
    """Operations that wait, and whose executions run."""
    describe = stack.machines.describe_execution
    waiting = set[str]()

    def described(**kwargs: str) -> dict[str, Any]:
        stack.world.now += LOOK_SECONDS
        if kwargs["executionArn"].rsplit(":", 1)[1] in waiting:
            return {"status": "RUNNING"}
        return describe(**kwargs)

    monkeypatch.setattr(stack.machines, "describe_execution", described)
    instance, due = new_instance(), stack.world.now + request.param
    with Operation.batch_write() as batch:
        for _ in range(WAITING):
            row = create_operation(instance)
            row.status, row.step = OperationStatus.RUNNING, "prepare"
            row.deadline, row.check_at = stack.world.now + 80_000, due
            waiting.add(row.id)
            batch.save(row)
    return stack


def found_after(stack: Stack, operation: Operation) -> int:
    """How many sweeps, one a minute, it takes until the operation is started."""
    for sweeps in range(1, 10):
        stack.world.now += 60
        sweeper.run()
        if any(operation.id in arn for arn in stack.machines.executions):
            return sweeps
    raise AssertionError("it was not found")


@pytest.mark.parametrize("backlog", [80_030], indirect=True)
def test_a_lost_hint_is_found_at_once_where_nothing_else_is_due(backlog: Stack) -> None:
    _, operation = accepted()
    assert found_after(backlog, operation) == 1


@pytest.mark.parametrize("backlog", [30], indirect=True)
def test_a_lost_hint_is_found_at_once_where_everything_is_due(backlog: Stack) -> None:
    """The sweeper was away for an hour."""
    backlog.world.now += 3600
    _, operation = accepted()
    assert found_after(backlog, operation) == 1


@pytest.mark.parametrize("backlog", [30], indirect=True)
def test_a_backlog_is_worked_off_while_hints_go_on_being_lost(backlog: Stack) -> None:
    backlog.world.now += 3600
    oldest = operations.due_operations(backlog.world.now, sweeper.PAGE)
    for number in range(2 * sweeper.PAGE):
        accepted(str(number))
    backlog.world.now += 60
    swept = sweeper.run()
    assert swept["seen"] >= 3 * sweeper.PAGE
    assert swept["started"] == 2 * sweeper.PAGE, "both ends have their turns"
    assert not set(oldest) & set(operations.due_operations(backlog.world.now, WAITING))
