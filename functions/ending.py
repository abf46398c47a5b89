"""The last step of every flow: the operation ends, and with it whatever follows from that."""

from __future__ import annotations

from chalicelib.bus import queues
from chalicelib.domain.flows import FLOWS
from chalicelib.domain.operations import OperationStatus
from chalicelib.store import ending
from chalicelib.store.ending import Ending
from chalicelib.store.models import Operation
from functions import configuring
from functions.outcomes import Done, Outcome


def complete(operation: Operation, _: str | None) -> Outcome:
    """Every step is done."""
    flow = FLOWS[operation.action]
    configuring.begun_with(operation, flow.steps)
    return end(operation, Ending(OperationStatus.SUCCEEDED, reported=flow.reported))


def fail(operation: Operation, _: str | None) -> Outcome:
    """It was undone, or something of it may be left; the reason says which, and what to do."""
    configuring.begun_with(operation, FLOWS[operation.action].undo)
    status = OperationStatus.CANCELLED if operation.cancelled else OperationStatus.FAILED
    return end(operation, ending.failure(operation, status))


def end(operation: Operation, how: Ending) -> Outcome:
    """End an operation; one that was queued behind it begins."""
    following = ending.end_operation(operation, how)
    if following is not None:
        queues.notify_task_manager(following)
    return Done()
