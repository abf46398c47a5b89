"""Bugs of what is cancelled, and of what is replaced on somebody's word."""

from __future__ import annotations

from typing import Any

import msgspec

from chalicelib.api import operations as routes
from chalicelib.domain.flows import FLOWS, REBUILD
from chalicelib.store import subjects
from chalicelib.store.models import Operation
from functions import rebuild_instance
from functions import step as frame
from functions.outcomes import Failed
from functions.step import Step
from tests.saboteurs.registry import Instead, Patch, saboteur


@saboteur("cancels", "I31")
def a_cancel_behind_the_point_of_no_return(patch: Patch) -> None:
    """A rebuild that has replaced its guest is cancelled, and there is nothing to go back to."""
    patch.setitem(FLOWS, REBUILD.action, msgspec.structs.replace(REBUILD, no_return=""))


@saboteur("cancels", "I31")
def a_cancel_that_is_only_accepted(patch: Patch) -> None:
    """A cancel is answered, and the operation is not told."""
    patch.setattr(routes, "subjects", Instead(subjects, cancel=lambda *_: True))


@saboteur("cancels", "I31")
def a_cancel_that_nobody_heeds(patch: Patch) -> None:
    """Whoever takes the next step does not ask whether its operation was cancelled."""
    original = frame._refusal

    def refusal(operation: Operation, name: str, step: Step) -> Failed | None:
        said, operation.cancelled = operation.cancelled, None
        try:
            return original(operation, name, step)
        finally:
            operation.cancelled = said

    patch.setattr(frame, "_refusal", refusal)


@saboteur("askers", "I9")
def an_asker_who_is_believed(patch: Patch) -> None:
    """A silent guest is replaced when somebody says to have lost its disk; Nova is not asked."""

    def unproved(*_: Any) -> None:
        return None

    patch.setattr(rebuild_instance, "_unproved", unproved)
