"""What a step can come to, and the one place that turns errors into outcomes.

An outcome is a value that the state machine's Choice reads; an error of the cloud becomes one too.
Only the unexpected is raised: the state machine retries it with a bounded backoff.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import msgspec

from chalicelib import aws
from chalicelib.cloud.errors import CloudError, Refused
from chalicelib.store.base import as_dict
from chalicelib.store.models import Operation


class Done(msgspec.Struct, frozen=True):
    """The step's effect is there. `resources` are recorded under the operation."""

    resources: Mapping[str, Any] = {}


class Wait(msgspec.Struct, frozen=True):
    """Not yet: look again after that many seconds. What is known so far is recorded."""

    seconds: int
    resources: Mapping[str, Any] = {}
    note: str = ""


class Failed(msgspec.Struct, frozen=True):
    """Never: the flow goes back. The reason is told to the user."""

    reason: str


class Pending(msgspec.Struct, frozen=True):
    """A task token waits for a guest; the conductor will answer it."""


LONGEST_POLL_SECONDS: Final = 10


def not_yet(operation: Operation, note: str, resources: Mapping[str, Any] | None = None) -> Wait:
    """Look again soon at first, then less often: after a quarter of the time it has taken."""
    waited = aws.clock() - as_dict(operation.started)[operation.step or ""]
    return Wait(int(min(max(waited / 4, 1), LONGEST_POLL_SECONDS)), resources or {}, note)


Outcome = Done | Wait | Failed | Pending


class Busy(Exception):
    """Another worker holds the step's lease; the state machine asks again."""


def from_error(operation: Operation, error: CloudError, *, backwards: bool) -> Outcome:
    """The outcome of an error of the cloud.

    What was refused for good fails a step that makes something. Everything else is tried again
    until the step's bound: the cloud may be back by then, and what is to be removed must go.
    """
    if isinstance(error, Refused) and not backwards:
        return Failed(str(error))
    return not_yet(operation, str(error)[:255])


def as_result(outcome: Outcome) -> dict[str, Any]:
    """The value that the state machine reads: no document, no secret."""
    match outcome:
        case Done() | Pending():
            return {"outcome": "done"}
        case Wait(seconds=seconds):
            return {"outcome": "wait", "seconds": seconds}
        case Failed():
            return {"outcome": "failed"}
