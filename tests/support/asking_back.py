"""A restart whose undoing asks the guest too, in the place of the shipped one."""

from __future__ import annotations

from typing import Final

import msgspec
import pytest

from chalicelib.bus import contract
from chalicelib.bus.contract.arguments import Nothing
from chalicelib.domain import flows
from chalicelib.domain.flows import RESTART, Flow, Kind, Runs, Step, Waits, What
from chalicelib.lifecycle import TRANSITIONS
from chalicelib.status import Status
from chalicelib.store.models import Operation
from functions import handler, step
from functions.asking import ask
from functions.outcomes import Outcome

BACK: Final = Step(
    "calm_down",
    Runs.LOCAL,
    Waits.GUEST,
    timeout="power_timeout_seconds",
    asks="restart",
    late="The database did not calm down in time",
    failed="The database did not calm down",
)
FLOW: Final[Flow] = msgspec.structs.replace(
    RESTART, undo=(BACK,), failed=Status.ERROR, told_failed="Left: {left}. {reason}"
)


def install(patch: pytest.MonkeyPatch) -> None:
    """Let every part of the frame know it."""
    patch.setitem(flows.FLOWS, FLOW.action, FLOW)
    path = FLOW.path(BACK)
    patch.setitem(flows.KINDS, path, Kind(BACK.runs, backwards=True, ends=False))
    for steps in (handler.STEPS, handler.LOCAL_STEPS):
        patch.setitem(steps, path, step.Step(_calm_down, backwards=True))
    for what, target in ((What.UNDONE, FLOW.undone), (What.FAILED, FLOW.failed)):
        patch.setitem(TRANSITIONS, (FLOW.during, FLOW.event(what)), target)
        patch.setitem(TRANSITIONS, (Status.ERROR, FLOW.event(what)), target)


def _calm_down(operation: Operation, token: str | None) -> Outcome:
    return ask(operation, token, BACK.name, contract.RESTART, lambda _: Nothing())
