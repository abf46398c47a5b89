"""The attempts at a backup in a container, which alone tell what lies there: none can be listed.

A guest says in which attempt it writes before it may, and may go on only in the newest. Its parts
arrive one after the other, so that those of an attempt are always the first so many.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import msgspec

MOST: Final = 16
"""An agent that dies begins again; one that dies so often makes no backup."""


class Attempt(msgspec.Struct, frozen=True):
    """One of them, and until when its guest may begin to send something."""

    id: str
    until: float


def of(stored: Any) -> list[Attempt]:
    """The attempts that a row tells of, the newest last."""
    return msgspec.convert(stored or [], list[Attempt])


def extended(known: Sequence[Attempt], attempt: str, until: float) -> list[Attempt] | None:
    """The attempts with that one as the newest; None when it is over, or one too many."""
    if known and known[-1].id == attempt:
        return [*known[:-1], Attempt(attempt, max(until, known[-1].until))]
    if len(known) >= MOST or attempt in {each.id for each in known}:
        return None
    return [*known, Attempt(attempt, until)]


def plain(attempts: Sequence[Attempt]) -> list[dict[str, Any]]:
    """As a row keeps them."""
    found: list[dict[str, Any]] = msgspec.to_builtins(list(attempts))
    return found


def safe_at(attempts: Sequence[Attempt], request_seconds: float) -> float:
    """When nothing more arrives of any of them: a request that has begun may take so long."""
    return max((each.until + request_seconds for each in attempts), default=0.0)
