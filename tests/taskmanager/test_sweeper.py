"""The sweeper: what was accepted is started, goes on or is given up; nothing stays behind."""

from __future__ import annotations

from typing import Any

import pytest

from chalicelib.domain.flows import UPGRADE
from chalicelib.domain.operations import OperationStatus
from chalicelib.lifecycle import Status
from chalicelib.settings import settings
from chalicelib.store import generations, instances, operations
from chalicelib.store.base import as_dict
from chalicelib.store.models import Operation
from chalicelib.taskmanager import sweeper
from tests.support.rows import accepted
from tests.support.simulated import VERSION, Stack


def stored(operation: Operation) -> Operation:
    row = operations.get_operation(operation.id)
    assert row is not None
    return row


def swept(stack: Stack) -> dict[str, int]:
    """What a sweep tells that is a function's."""
    told: list[dict[str, int]] = []
    stack.do(lambda: told.append(sweeper.run()))
    return told[0]


def test_a_lost_hint_is_repeated(stack: Stack) -> None:
    _, operation = accepted()
    assert sweeper.run() == {"seen": 0, "started": 0}
    stack.run(31)
    assert sweeper.run() == {"seen": 1, "started": 1}
    assert len(stack.machines.executions) == 1
    stack.settle()
    stack.check()
    assert stored(operation).status == OperationStatus.SUCCEEDED


def test_an_operation_that_runs_is_left_alone(stack: Stack) -> None:
    stack.guests.on_guest = lambda guest: setattr(guest, "silent", True)
    _, operation = stack.create()
    stack.run(80)
    assert stored(operation).attempt == 0
    assert len(stack.machines.executions) == 1


def test_who_waits_for_a_guest_is_looked_at_after_as_long_again(stack: Stack) -> None:
    """Not every 45 s: 100,000 of them would be all that the sweeper ever sees."""
    stack.guests.on_guest = lambda guest: setattr(guest, "silent", True)
    _, operation = stack.create()
    stack.run(100)
    assert stored(operation).step == "prepare"
    Operation(operation.id).update([Operation.check_at.set(stack.kernel.now)])
    assert sweeper.run()["seen"] == 1
    row = stored(operation)
    waited = stack.kernel.now - as_dict(row.started)["prepare"]
    assert row.check_at == pytest.approx(stack.kernel.now + waited)
    stack.run(row.deadline - stack.kernel.now - 100)
    Operation(operation.id).update([Operation.check_at.set(stack.kernel.now)])
    sweeper.run()
    assert stored(operation).check_at == row.deadline


def test_who_has_its_guests_answer_is_looked_at_again_soon(stack: Stack) -> None:
    stack.guests.on_guest = lambda guest: setattr(guest, "silent", True)
    _, operation = stack.create()
    stack.run(100)
    due = Operation.check_at.set(stack.kernel.now)
    Operation(operation.id).update([due, Operation.ended.set({"prepare": stack.kernel.now})])
    assert sweeper.run()["seen"] == 1
    assert stored(operation).check_at == stack.kernel.now + sweeper.LOOK_AGAIN_SECONDS


def test_an_execution_that_died_is_followed_by_the_next_attempt(stack: Stack) -> None:
    instance, operation = stack.create()
    stack.run(2)
    stack.stop_executions()
    stack.settle()
    stack.check()
    assert [name.rsplit(":", 1)[1] for name in stack.machines.executions] == [
        operation.id,
        f"{operation.id}.1",
    ]
    assert instances.get_instance(instance.id).status == Status.ACTIVE


def test_an_attempt_that_died_while_it_went_back_does_not_go_forward_again(stack: Stack) -> None:
    stack.spoil("compute", "create_server", "error")
    stack.spoil("compute", "delete_server", "slow_delete", seconds=20)
    instance, operation = stack.create()
    stack.run(15)
    assert stored(operation).compensating
    stack.stop_executions()
    stack.settle()
    stack.check()
    assert instances.get_instance(instance.id).status == Status.ERROR
    assert "No valid host" in str(stored(operation).reason)
    assert stack.log.count("servers.create") == 1


def test_a_create_whose_token_was_lost_is_stopped_and_undone(
    stack: Stack,
) -> None:
    """Where Step Functions does not notice that the worker with the token has died."""
    deaths: list[str] = []

    def dies_in_prepare(event: dict[str, Any]) -> bool:
        if event["step"] != "create_instance.prepare" or deaths:
            return False
        deaths.append(event["operation_id"])
        return True

    stack.lose_workers(dies_in_prepare)
    instance, operation = stack.create()
    stack.settle()
    stack.check()
    ended = stored(operation)
    assert ended.status == OperationStatus.FAILED
    assert ended.attempt == 1
    assert ended.updated < operation.deadline + 300
    assert "in time" in str(ended.reason)
    assert instances.get_instance(instance.id).status == Status.ERROR


def test_executions_that_keep_dying_are_given_up_within_a_bound(stack: Stack) -> None:
    """Not before their operation's deadline: what kills them may pass."""
    instance, operation = accepted()
    stack.stop_schedules()
    while stack.kernel.now < operation.deadline + sweeper.STUCK_SECONDS + 120:
        stack.run(61)
        sweeper.run()
        stack.stop_executions()
        late = stack.kernel.now > operation.deadline
        assert late or stored(operation).status == OperationStatus.ACCEPTED
    assert len(stack.machines.executions) > settings().operation_attempts
    row = instances.get_instance(instance.id)
    assert row.status == Status.ERROR
    assert "Given up after" in str(row.fault_message)
    assert stored(operation).status == OperationStatus.FAILED
    assert row.held["instances"] == 1


def test_one_that_goes_on_is_not_given_up_at_its_deadline(stack: Stack) -> None:
    """The removal of a large backup is in its fifth hour when what kills its executions comes."""
    _, operation = accepted()
    operation.action, operation.step, operation.attempt = "delete_backup", "remove", 10
    waits, began = settings().removal_timeout_seconds, float(operation.created)
    operation.started, operation.deadline = {"remove": began}, began + waits
    stack.run(5 * 3600)
    assert sweeper._is_hopeless(operation)
    operation.resources = {operations.PROGRESS: {"remove": stack.kernel.now - 60}}
    assert not sweeper._is_hopeless(operation)
    stack.run(waits + sweeper.STUCK_SECONDS)
    assert sweeper._is_hopeless(operation)


def test_one_that_was_called_back_and_is_given_up_tells_both(stack: Stack) -> None:
    instance, operation = accepted()
    assert instances.reset_status(instances.get_instance(instance.id), "Called back")
    stack.stop_schedules()
    for _ in range(settings().operation_attempts + 1):
        stack.run(61)
        sweeper.run()
        stack.stop_executions()
    reason = str(stored(operation).reason)
    assert stored(operation).status == OperationStatus.FAILED
    assert reason.startswith("Called back. Given up after"), reason


def test_a_delete_queued_behind_one_that_is_given_up_starts(stack: Stack) -> None:
    instance, operation = accepted()
    instances.reset_status(instances.get_instance(instance.id), "forced")
    queued = stack.delete(instance.id)
    stack.region.sqs.purge_queue(QueueUrl=settings().taskmanager_queue_url)
    stack.stop_schedules()
    for _ in range(settings().operation_attempts + 1):
        stack.run(61)
        sweeper.run()
        stack.stop_executions()
    assert stored(operation).status == OperationStatus.FAILED
    stack.start_schedules()
    stack.settle()
    assert stored(queued).status == OperationStatus.SUCCEEDED
    stack.check()


def test_a_queued_operation_is_looked_at_and_not_started(stack: Stack) -> None:
    instance, _ = accepted()
    instances.reset_status(instances.get_instance(instance.id), "forced")
    queued = stack.delete(instance.id)
    stack.run(31)
    sweeper.run()
    assert stored(queued).status == OperationStatus.QUEUED
    assert not any(queued.id in arn for arn in stack.machines.executions)


def test_a_busy_step_functions_ends_the_sweep_and_the_next_goes_on(
    stack: Stack,
) -> None:
    for _ in range(3):
        accepted()
    stack.run(31)
    stack.throttled.add("stepfunctions.StartExecution")
    assert swept(stack) == {"seen": 1, "started": 0}
    stack.throttled.clear()
    assert swept(stack) == {"seen": 3, "started": 3}


def test_an_operation_that_cannot_be_swept_does_not_hold_up_the_others(
    stack: Stack, caplog: pytest.LogCaptureFixture
) -> None:
    _, broken = accepted()
    stack.region.dynamodb.watchers.clear()  # no promise says anything of such a row
    broken.action = "no_such_flow"
    broken.save()
    _, healthy = accepted()
    stack.run(31)
    with pytest.raises(sweeper.SweepFailed, match="1 of 2 operations"):
        sweeper.run()
    assert [record.message for record in caplog.records if hasattr(record, "alarm")] == [
        "sweeper: 1 of 2 operations could not be swept"
    ]
    assert [arn.rsplit(":", 1)[1] for arn in stack.machines.executions] == [healthy.id]


def test_two_sweepers_at_once_start_one_attempt(stack: Stack) -> None:
    _, operation = accepted()
    stack.run(31)
    sweeper.run()
    stack.stop_executions()
    stack.run(61)
    stack.interruptions["dynamodb.UpdateItem"] = sweeper.run
    stack.do(sweeper.run)
    assert stored(operation).attempt == 1
    assert len(stack.machines.executions) == 2


@pytest.mark.parametrize("made", [{}, {"replace": 2}, {"replace": 2, "disown": 3}])
def test_a_guest_that_is_not_to_stay_is_nobody_once(
    stack: Stack, monkeypatch: pytest.MonkeyPatch, made: dict[str, int]
) -> None:
    """Of an upgrade that is given up, unless its way back has made the next generation already."""
    flow = UPGRADE
    assert flow.replaces is not None
    assert flow.disowns is not None
    begun: list[str] = []
    monkeypatch.setattr(generations, "begin", lambda _, step: begun.append(step))
    instance, _ = stack.create()
    stack.settle()
    operation = stack.accept(instance.id, UPGRADE, {"version": VERSION, "before": {}})
    stack.stop_schedules()
    names = {"replace": flow.replaces, "disown": flow.disowns}
    operation.resources = {names[each]: number for each, number in made.items()}
    sweeper._give_up(operation)
    assert begun == ([flow.disowns] if list(made) == ["replace"] else [])
    assert stored(operation).status == OperationStatus.FAILED
