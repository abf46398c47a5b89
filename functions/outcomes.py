"""What a step can come to, and the one place that turns errors into outcomes.

A permanent outcome is a value that the state machine's Choice reads. Only what a repetition may
cure is raised: the state machine retries it with a bounded backoff.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from chalicelib.cloud.errors import CloudError, Refused


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


Outcome = Done | Wait | Failed | Pending


class Busy(Exception):
    """Another worker holds the step's lease; the state machine asks again."""


def from_error(error: CloudError) -> Failed:
    """The outcome of an error of the cloud: refused for good ends the flow, the rest is retried."""
    if isinstance(error, Refused):
        return Failed(str(error))
    raise error


def as_result(outcome: Outcome) -> dict[str, Any]:
    """The value that the state machine reads: no document, no secret."""
    match outcome:
        case Done() | Pending():
            return {"outcome": "done"}
        case Wait(seconds=seconds):
            return {"outcome": "wait", "seconds": seconds}
        case Failed():
            return {"outcome": "failed"}
