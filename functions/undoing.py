"""The undoing of a change, which a delete makes pointless: it takes all away, however it is."""

from __future__ import annotations

from collections.abc import Callable

from chalicelib.store import instances
from chalicelib.store.models import Operation
from functions.outcomes import Done, Outcome

Run = Callable[[Operation, str | None], Outcome]


def unless_deleted(step: Run) -> Run:
    """The step, unless a delete waits for its turn."""

    def run(operation: Operation, token: str | None) -> Outcome:
        if instances.get_instance(operation.instance_id).next_operation_id is not None:
            return Done()
        return step(operation, token)

    return run
