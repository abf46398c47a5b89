"""What is lost when the functions cannot run for a while: nothing."""

from __future__ import annotations

import pytest

from chalicelib.domain.operations import OperationStatus
from chalicelib.lifecycle import Status
from chalicelib.settings import settings
from chalicelib.store import instances, operations
from chalicelib.store.base import as_dict
from chalicelib.store.models import Instance, Operation
from functions import handler
from functions.step import Finished
from simulator.aws.lambda_ import Fate
from tests.support.simulated import Stack


def throttled(stack: Stack, step: str, seconds: float) -> None:
    """From its first call on, no step runs for so long."""
    until: list[float] = []

    def refused(called: str) -> Fate | None:
        if called == step and not until:
            until.append(stack.kernel.now + seconds)
        return Fate.THROTTLE if until and stack.kernel.now < until[0] else None

    stack.fates.append(refused)


def rows(instance: Instance, operation: Operation) -> tuple[str, Operation]:
    row = operations.get_operation(operation.id)
    assert row is not None
    return instances.get_instance(instance.id).status, row


@pytest.mark.parametrize("seconds", [60, 600, 4000], ids=["a minute", "ten", "past its deadline"])
def test_a_finished_create_is_not_torn_down(stack: Stack, seconds: int) -> None:
    instance, operation = stack.create()
    throttled(stack, "create_instance.complete", seconds)
    stack.settle()
    stack.check()
    status, row = rows(instance, operation)
    assert (status, row.status, row.reason) == (Status.ACTIVE, OperationStatus.SUCCEEDED, None)


@pytest.mark.parametrize("step", ["create_instance.volume", "create_instance.server"])
def test_a_create_goes_on_after_an_outage_that_killed_its_execution(
    stack: Stack, step: str
) -> None:
    instance, operation = stack.create()
    throttled(stack, step, 1500)
    stack.run(5)
    stack.stop_executions()
    stack.settle()
    stack.check()
    assert rows(instance, operation)[0] == Status.ACTIVE


def test_a_removal_is_late_only_when_something_is_left(stack: Stack) -> None:
    instance, _ = stack.create()
    stack.settle()
    operation = stack.delete(instance.id)
    stack.spoil("compute", "delete_server", "slow_delete", seconds=10)
    begun: list[str] = []

    def begin(step: str) -> None:
        """Its worker has died, and holds the lease."""
        if step == "remove_volume" and not begun:
            begun.append(str(operations.take_lease(operation.id, step).lease_id))

    stack.fates.append(begin)
    throttled(stack, "remove_volume", 1200)
    stack.settle()
    stack.check()
    row = operations.get_operation(operation.id)
    assert row is not None
    assert row.status == OperationStatus.SUCCEEDED
    assert row.updated - as_dict(row.started)["remove_volume"] > settings().delete_timeout_seconds


def test_a_step_is_recorded_when_its_guest_has_answered(stack: Stack) -> None:
    instance, operation = stack.create()
    throttled(stack, "create_instance.complete", 60)
    stack.run(45)
    status, row = rows(instance, operation)
    assert status == Status.BUILD
    assert "prepare" in as_dict(row.ended)


def test_an_older_definition_does_not_undo_what_is_done(stack: Stack) -> None:
    instance, operation = stack.create()
    throttled(stack, "create_instance.complete", 60)
    stack.run(45)
    for step in ("remove_server", "create_instance.fail"):
        handle = handler.cloud if step.startswith("remove") else handler.local
        with pytest.raises(Finished):
            handle({"step": step, "operation_id": operation.id}, None)
        stack.run(26)
    stack.settle()
    stack.check()
    assert rows(instance, operation)[0] == Status.ACTIVE
