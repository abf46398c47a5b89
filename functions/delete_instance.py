"""The flow `delete_instance`: the removals of `remove`, then its end either way."""

from __future__ import annotations

from chalicelib.bus import queues
from chalicelib.domain.flows import REMOVALS
from chalicelib.domain.operations import OperationStatus
from chalicelib.lifecycle import Event
from chalicelib.store import instances
from chalicelib.store.base import as_dict
from chalicelib.store.instances import Ending
from chalicelib.store.models import Operation
from functions.outcomes import Done, Outcome


def complete(operation: Operation, _: str | None) -> Outcome:
    """The instance is gone and holds no quota; its row stays as history for some days."""
    following = instances.end_operation(
        operation,
        Ending(OperationStatus.SUCCEEDED, Event.DELETE_SUCCEEDED, release_quota=True),
    )
    if following is not None:
        queues.notify_task_manager(following)
    return Done()


def fail(operation: Operation, _: str | None) -> Outcome:
    """The instance is in ERROR with the reason and keeps its quota: something is still there."""
    left = [step for step in REMOVALS if step not in as_dict(operation.ended)]
    reason = operation.cancelled or operation.reason or "The delete did not finish."
    following = instances.end_operation(
        operation,
        Ending(
            OperationStatus.CANCELLED if operation.cancelled else OperationStatus.FAILED,
            Event.DELETE_FAILED,
            reason=f"{reason} Still to do: {', '.join(left)}; delete the instance again.",
        ),
    )
    if following is not None:
        queues.notify_task_manager(following)
    return Done()
