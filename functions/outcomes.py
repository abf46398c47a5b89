"""What a step can come to, and the one place that turns errors into outcomes.

An outcome is a value that the state machine's Choice reads; an error of the cloud becomes one too.
Only the unexpected is raised: the state machine retries it with a bounded backoff.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, Final

import msgspec

from chalicelib import aws
from chalicelib.cloud.errors import CloudError, Refused
from chalicelib.store.base import as_dict
from chalicelib.store.models import Operation
from chalicelib.store.operations import bound_of


class Done(msgspec.Struct, frozen=True):
    """The step's effect is there. `resources` are recorded under the operation."""

    resources: Mapping[str, Any] = {}


class Wait(msgspec.Struct, frozen=True):
    """Not yet: look again after that many seconds. What is known so far is recorded.

    `first`: it has to be on record before the step goes on, as what an undoing must not miss.
    `progress`: a part of what the step is at is done since the last look, so that its bound, which
    is one of waiting, begins anew; not of a step that undoes, whose subject nobody can use so long.
    """

    seconds: int
    resources: Mapping[str, Any] = {}
    note: str = ""
    first: bool = False
    progress: bool = False


class Failed(msgspec.Struct, frozen=True):
    """Never: the flow goes back. The reason is told to the user."""

    reason: str


class Pending(msgspec.Struct, frozen=True):
    """A task token waits for a guest; the conductor will answer it."""


LONGEST_POLL_SECONDS: Final = 60
"""An operation that is cancelled meanwhile goes back within so long."""
POLL_SHARE: Final = 1 / 8
"""A look comes so late at most, as a share of what was waited for. With the bound above, a day of
polls is less than the 25,000 events of an execution, also of those that remove slice by slice
(`tests/functions/test_history.py`)."""
SOON_SECONDS: Final = 4.0
"""So long after its begin a step looks again within its function: a whole second of Step Functions
is a third of a create on a fast cloud. Less than any lease and timeout beside one slow call."""
LOOK_SECONDS: Final = 0.25


MOST_NOTE: Final = 255


def poll_seconds(waited: float) -> int:
    """In how many seconds to look again at what has taken `waited` seconds so far."""
    return int(min(max(waited * POLL_SHARE, 1), LONGEST_POLL_SECONDS))


def not_yet(
    operation: Operation,
    note: str,
    resources: Mapping[str, Any] | None = None,
    *,
    progress: bool = False,
) -> Wait:
    """Look again soon at first, then less often, and right after the step's bound at the latest."""
    name, now = operation.step or "", aws.clock()
    seconds = poll_seconds(now - as_dict(operation.started)[name])
    left = math.ceil(bound_of(operation, name) - now) + 1
    return Wait(
        min(seconds, left) if left > 0 else seconds, resources or {}, note, progress=progress
    )


Outcome = Done | Wait | Failed | Pending


class Busy(Exception):
    """Another worker holds the step's lease; the state machine asks again."""


REFUSED_SECONDS: Final = 60.0
"""So long a step of an undoing asks again where it was refused for good: what it takes away has to
go, and an operator may be mending what stands in its way."""


def from_error(operation: Operation, error: CloudError, *, backwards: bool) -> Outcome:
    """The outcome of an error of the cloud.

    What was refused for good fails a step that makes something at once, and one of an undoing when
    it is still refused alike after a while. Everything else is tried again until the step's bound:
    the cloud may be back by then.
    """
    said = str(error)[:MOST_NOTE]
    if isinstance(error, Refused):
        name = operation.step or ""
        again = as_dict(operation.notes).get(name) == said
        waited = aws.clock() - as_dict(operation.started).get(name, aws.clock())
        if not backwards or (again and waited >= REFUSED_SECONDS):
            return Failed(str(error))
    return not_yet(operation, said)


def as_result(outcome: Outcome) -> dict[str, Any]:
    """The value that the state machine reads: no document, no secret."""
    match outcome:
        case Done() | Pending():
            return {"outcome": "done"}
        case Wait(seconds=seconds):
            return {"outcome": "wait", "seconds": seconds}
        case Failed():
            return {"outcome": "failed"}
