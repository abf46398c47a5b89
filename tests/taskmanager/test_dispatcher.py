"""The dispatcher: one execution for an operation, however often and however late it is hinted."""

from __future__ import annotations

import pytest

from chalicelib import batch
from chalicelib.domain.operations import OperationStatus
from chalicelib.lifecycle import Status
from chalicelib.store import commands as rows
from chalicelib.store import instances, operations
from chalicelib.store.ending import Ending, end_operation
from chalicelib.taskmanager import dispatcher
from tests.support.rows import accepted
from tests.support.simulated import Stack


def hint(operation_id: str) -> str:
    return f'{{"operation_id":"{operation_id}"}}'


def test_the_same_hint_three_times_starts_one_execution(stack: Stack) -> None:
    _, operation = accepted()
    for _ in range(3):
        dispatcher.receive(hint(operation.id))
    (arn,) = stack.machines.executions
    assert arn.endswith(f":execution:coffer-create-instance:{operation.id}")
    assert [each.input for each in stack.executions] == [hint(operation.id)]


def test_a_hint_after_the_execution_closed_starts_no_other(stack: Stack) -> None:
    _, operation = accepted()
    dispatcher.receive(hint(operation.id))
    stack.stop_executions()
    dispatcher.receive(hint(operation.id))
    assert len(stack.machines.executions) == 1


def test_a_hint_for_nothing_does_nothing(stack: Stack) -> None:
    dispatcher.receive(hint("no-such-operation"))
    _, operation = accepted()
    end_operation(operation, Ending(OperationStatus.SUCCEEDED))
    dispatcher.receive(hint(operation.id))
    assert stack.machines.executions == {}


def test_a_hint_for_a_queued_operation_waits_for_its_turn(stack: Stack) -> None:
    instance, _ = accepted()
    instances.reset_status(instances.get_instance(instance.id), "forced")
    queued = stack.delete(instance.id)
    dispatcher.receive(hint(queued.id))
    assert stack.machines.executions == {}


def test_a_throttled_start_is_acknowledged_and_left_to_the_sweeper(stack: Stack) -> None:
    _, operation = accepted()
    stack.throttled.add("stepfunctions.StartExecution")
    stack.do(lambda: dispatcher.receive(hint(operation.id)))
    assert stack.log[-1] == "stepfunctions.StartExecution"
    assert stack.machines.executions == {}
    stack.throttled.clear()
    stack.settle()
    assert len(stack.machines.executions) == 1


@pytest.mark.parametrize("body", ["", "poison", "[]", '{"operation_id": 7}'])
def test_what_is_no_hint_fails_its_record_and_no_other(stack: Stack, body: str) -> None:
    _, operation = accepted()
    records = [
        {"messageId": "1", "body": body},
        {"messageId": "2", "body": hint(operation.id)},
    ]
    answer = batch.each({"Records": records}, lambda record: dispatcher.receive(record["body"]))
    assert answer == {"batchItemFailures": [{"itemIdentifier": "1"}]}
    assert len(stack.machines.executions) == 1


def waiting_for_its_guest(stack: Stack) -> tuple[str, str]:
    stack.guests.on_guest = lambda guest: setattr(guest, "silent", True)
    instance, operation = stack.create()
    stack.run(10)
    command = rows.find(f"{operation.id}.prepare")
    assert command is not None
    assert command.token is not None
    return instance.id, operation.id


def test_a_hint_wakes_a_cancelled_operation_that_waits_for_its_guest(stack: Stack) -> None:
    instance_id, operation_id = waiting_for_its_guest(stack)
    instances.reset_status(instances.get_instance(instance_id), "reset by an operator")
    dispatcher.receive(hint(operation_id))
    told = stack.kernel.now
    stack.settle()
    stack.check()
    row = operations.get_operation(operation_id)
    assert row is not None
    assert row.status == OperationStatus.CANCELLED
    assert instances.get_instance(instance_id).status == Status.ERROR
    assert row.updated - told < 30


def test_a_hint_does_not_disturb_an_operation_that_is_not_cancelled(stack: Stack) -> None:
    instance_id, operation_id = waiting_for_its_guest(stack)
    dispatcher.receive(hint(operation_id))
    for guest in stack.guests.values():
        guest.silent = False
    stack.settle()
    assert instances.get_instance(instance_id).status == Status.ACTIVE
