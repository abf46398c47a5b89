"""An undoing that asks its guest: it has the answer's time, and no more than that."""

from __future__ import annotations

from typing import Any

import pytest

from chalicelib.domain.flows import LOOK
from chalicelib.domain.operations import OperationStatus
from chalicelib.lifecycle import Status
from chalicelib.settings import settings
from chalicelib.store import commands as rows
from chalicelib.store import instances, operations
from chalicelib.store.models import Operation
from chalicelib.taskmanager import dispatcher, sweeper
from tests.support import asking_back
from tests.support.scripted import Script
from tests.support.simulated import Stack

ASKED = f".{asking_back.BACK.name}"


@pytest.fixture(autouse=True)
def flow(monkeypatch: pytest.MonkeyPatch) -> None:
    asking_back.install(monkeypatch)


def begun(stack: Stack) -> tuple[Operation, Script]:
    """A restart that failed, whose guest hears nothing of its undoing."""
    instance, _ = stack.create()
    stack.settle()
    (guest,) = stack.guests.values()
    guest.silent = True
    operation = stack.accept(instance.id, asking_back.FLOW)
    stack.run(5)
    instances.reset_status(instances.get_instance(instance.id), "reset by an operator")
    dispatcher.receive(hint(operation))
    stack.run(5)
    assert stored(operation).step == asking_back.BACK.name
    return operation, guest


def hint(operation: Operation) -> str:
    return f'{{"operation_id":"{operation.id}"}}'


def stored(operation: Operation) -> Operation:
    row = operations.get_operation(operation.id)
    assert row is not None
    return row


def status(operation: Operation) -> str:
    row = instances.find_instance(operation.instance_id)
    assert row is not None
    return str(row.status)


def test_neither_a_hint_nor_a_sweep_disturbs_an_undoing_that_waits(stack: Stack) -> None:
    operation, guest = begun(stack)
    dispatcher.receive(hint(operation))
    stack.run(settings().power_timeout_seconds / 2)
    assert stored(operation).status == OperationStatus.RUNNING
    guest.silent = False
    stack.settle()
    ended = stored(operation)
    assert asking_back.BACK.name in ended.ended
    assert ended.status == OperationStatus.CANCELLED
    assert "Left" not in str(ended.reason)
    assert status(operation) == Status.ACTIVE
    own = [arn for arn in stack.machines.executions if LOOK.replace("_", "-") not in arn]
    assert len(own) == 2
    stack.check()


def test_an_answer_outlives_the_execution_that_waited_for_it(stack: Stack) -> None:
    operation, guest = begun(stack)
    stack.stop_executions()
    guest.silent = False
    stack.settle()
    assert asking_back.BACK.name in stored(operation).ended
    assert status(operation) == Status.ACTIVE


def test_the_command_lives_as_long_as_its_step_whatever_the_operation_was_given(
    stack: Stack,
) -> None:
    operation, _ = begun(stack)
    command = rows.find(operation.id + ASKED)
    assert command is not None
    began = stored(operation).started[asking_back.BACK.name]
    assert command.deadline == began + settings().power_timeout_seconds > operation.deadline
    assert command.backwards


def test_what_is_not_answered_in_time_is_left(stack: Stack) -> None:
    operation, _ = begun(stack)
    begins = stack.kernel.now
    stack.settle()
    assert stored(operation).status == OperationStatus.CANCELLED
    assert str(stored(operation).reason).startswith("Left: calm_down")
    assert status(operation) == Status.ERROR
    waited = stack.kernel.now - begins - settings().power_timeout_seconds
    assert waited < 2 * sweeper.LOOK_AGAIN_SECONDS + 60


def test_a_guest_that_fails_ends_the_undoing_at_once(stack: Stack) -> None:
    operation, guest = begun(stack)
    guest.failure = "no"
    guest.silent = False
    begins = stack.kernel.now
    stack.settle()
    assert stack.kernel.now - begins < 60
    assert status(operation) == Status.ERROR


def test_an_execution_that_dies_with_the_guests_refusal_is_followed_soon(stack: Stack) -> None:
    operation, guest = begun(stack)
    stack.stop_executions()
    guest.failure = "no"
    guest.silent = False
    begins = stack.kernel.now
    stack.settle()
    assert stored(operation).attempt == 1
    assert stack.kernel.now - begins < 3 * 60


def test_a_delete_does_not_wait_for_an_undoing(stack: Stack) -> None:
    operation, _ = begun(stack)
    begins = stack.kernel.now
    stack.delete(operation.instance_id)
    stack.settle()
    assert status(operation) == Status.DELETED
    assert stack.kernel.now - begins < settings().power_timeout_seconds / 4
    stack.check()


@pytest.mark.parametrize("lost", ["the first", "each"])
def test_an_undoing_whose_token_was_lost_is_stopped_and_ends(stack: Stack, lost: str) -> None:
    """Where Step Functions does not notice that the worker with the token has died."""
    deaths: list[str] = []

    def dies(event: dict[str, Any]) -> bool:
        if not event["step"].endswith(ASKED) or (deaths and lost == "the first"):
            return False
        deaths.append(event["operation_id"])
        return True

    stack.lose_workers(dies)
    instance, _ = stack.create()
    stack.settle()
    (guest,) = stack.guests.values()
    guest.failure = "no"
    operation = stack.accept(instance.id, asking_back.FLOW)
    stack.settle()
    assert deaths
    assert stored(operation).status == OperationStatus.FAILED
    assert status(operation) == Status.ERROR


def test_a_create_that_goes_back_is_not_held_up_by_a_token_that_was_lost(stack: Stack) -> None:
    """Told to go back while its own step waited: the sibling of the same gap."""
    deaths: list[str] = []

    def dies(event: dict[str, Any]) -> bool:
        if event["step"] != "create_instance.prepare" or deaths:
            return False
        deaths.append(event["operation_id"])
        stack.kernel.call_later(0.0, turn_back, event["operation_id"])
        return True

    def turn_back(operation_id: str) -> None:
        row = operations.take_lease(operation_id, "prepare")
        row.lease_until = stack.kernel.now
        row.save()
        operations.begin_compensation(row, "another server came first")

    stack.lose_workers(dies)
    instance, operation = stack.create()
    stack.settle()
    assert deaths
    assert stored(operation).updated < operation.deadline + 300
    assert instances.get_instance(instance.id).status == Status.ERROR


def test_a_guest_that_cannot_come_any_more_is_not_waited_for(stack: Stack) -> None:
    """Another server came first: the create was told to go back, and nobody has cancelled it."""
    _, operation = stack.create()
    row = operations.take_lease(operation.id, "prepare")
    assert not dispatcher.waits_in_vain(stored(operation), "prepare")
    operations.begin_compensation(row, "another server came first")
    assert dispatcher.waits_in_vain(stored(operation), "prepare")
