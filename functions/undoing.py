"""What makes a step of an undoing pointless: a delete, a lost guest, a former step not done."""

from __future__ import annotations

from collections.abc import Callable

from chalicelib.store import instances
from chalicelib.store.base import as_dict
from chalicelib.store.generations import guest_is_lost
from chalicelib.store.models import Operation
from functions.outcomes import Done, Failed, Outcome

Run = Callable[[Operation, str | None], Outcome]


def unless_deleted(step: Run) -> Run:
    """The step, unless a delete waits for its turn."""

    def run(operation: Operation, token: str | None) -> Outcome:
        if instances.get_instance(operation.instance_id).next_operation_id is not None:
            return Done()
        return step(operation, token)

    return run


def unless_lost(step: Run) -> Run:
    """The same for a step that a guest has a part in: nor is an expelled one waited for."""

    def run(operation: Operation, token: str | None) -> Outcome:
        if guest_is_lost(operation, instances.get_instance(operation.instance_id)):
            return Done()
        return step(operation, token)

    return unless_deleted(run)


def if_begun(step: str, undo: Run) -> Run:
    """The step of the undoing, if that step of the way there has begun; else nothing was done."""

    def run(operation: Operation, token: str | None) -> Outcome:
        if step not in as_dict(operation.started):
            return Done()
        return undo(operation, token)

    return run


def after(former: str, step: Run) -> Run:
    """The step, if the one of the undoing that it builds on is done: else it waits in vain."""

    def run(operation: Operation, token: str | None) -> Outcome:
        if former not in as_dict(operation.ended):
            return Failed(f"{former.replace('_', ' ')} was not done")
        return step(operation, token)

    return run
