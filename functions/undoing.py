"""What makes a step of an undoing pointless: a delete, and a former step that was not done."""

from __future__ import annotations

from collections.abc import Callable

from chalicelib.store import instances
from chalicelib.store.base import as_dict
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


def after(former: str, step: Run) -> Run:
    """The step, if the one of the undoing that it builds on is done: else it waits in vain."""

    def run(operation: Operation, token: str | None) -> Outcome:
        if former not in as_dict(operation.ended):
            return Failed(f"{former.replace('_', ' ')} was not done")
        return step(operation, token)

    return run
