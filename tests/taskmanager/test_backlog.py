"""A hint that was lost is found beside thousands of operations that wait for their guests."""

from __future__ import annotations

from typing import Any, Final, cast

import pytest

from chalicelib.domain.operations import OperationStatus
from chalicelib.store import operations
from chalicelib.store.models import Operation
from chalicelib.taskmanager import sweeper
from tests.support.bare import fresh
from tests.support.rows import accepted, create_operation, new_instance
from tests.support.simulated import Stack

WAITING: Final = 5_000
"""What a dozen sweeps look at: more would only take longer to make."""
LOOK_SECONDS: Final = 0.03
"""What a look at one operation takes: three calls."""


@pytest.fixture(scope="module")
def waiting() -> dict[str, Any]:
    """So many operations as items of the table, due at the beginning of time."""
    with fresh() as world:
        instance = new_instance()
        with Operation.batch_write() as batch:
            for number in range(WAITING):
                row = create_operation(instance)
                row.id = f"waiting-{number}"
                row.status, row.step = OperationStatus.RUNNING, "prepare"
                row.deadline, row.check_at = world.now + 80_000, world.now
                row.started = {"prepare": world.now}
                batch.save(row)
        return {str(row["id"]): row for row in world.dynamodb.rows(Operation.Meta.table_name)}


@pytest.fixture
def backlog(
    request: pytest.FixtureRequest,
    waiting: dict[str, Any],
    stack: Stack,
    monkeypatch: pytest.MonkeyPatch,
) -> Stack:
    """Operations that wait, and whose executions run."""
    client = stack.region.clients["stepfunctions"]
    describe = client.describe_execution

    def described(**kwargs: str) -> dict[str, Any]:
        stack.run(LOOK_SECONDS)
        if kwargs["executionArn"].rsplit(":", 1)[1] in waiting:
            return {"status": "RUNNING"}
        return cast(dict[str, Any], describe(**kwargs))

    monkeypatch.setattr(client, "describe_execution", described)
    stack.stop_schedules()
    due = int(stack.kernel.now) + request.param
    items = {key: {**item, "check_at": due} for key, item in waiting.items()}
    table = stack.region.dynamodb.tables[Operation.Meta.table_name]
    table.restore(items, stack.kernel.now)
    return stack


def found_after(stack: Stack, operation: Operation) -> int:
    """How many sweeps, one a minute, it takes until the operation is started."""
    for sweeps in range(1, 10):
        stack.run(60)
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
    backlog.run(3600)
    _, operation = accepted()
    assert found_after(backlog, operation) == 1


@pytest.mark.parametrize("backlog", [30], indirect=True)
def test_a_backlog_is_worked_off_while_hints_go_on_being_lost(backlog: Stack) -> None:
    backlog.run(3600)
    oldest = operations.due_operations(backlog.kernel.now, sweeper.PAGE)
    for number in range(2 * sweeper.PAGE):
        accepted(str(number))
    backlog.run(60)
    swept = sweeper.run()
    assert swept["seen"] >= 3 * sweeper.PAGE
    assert swept["started"] == 2 * sweeper.PAGE, "both ends have their turns"
    assert not set(oldest) & set(operations.due_operations(backlog.kernel.now, WAITING))
