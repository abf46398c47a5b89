"""A question to the control plane in the middle of a backup or a restore: asked again as long as a
store is, while nobody answers, and given up when that is cancelled."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple, TypeVar

import msgspec

from chalicelib import aws
from guest_agent.backups.store import PATIENCE_SECONDS, Cancelled, StoreFailed
from guest_agent.enrolment import delay_after
from guest_agent.errors import Retired, Unauthorized, Unreachable

T = TypeVar("T")


class Words(NamedTuple):
    """What its ends are called: nothing needs it any more, an answer that is not known, none."""

    over: str
    unknown: str
    none: str


def asked(ask: Callable[[], T], stop: aws.Event, words: Words) -> T:
    """The answer. `ask` asks once and reads what it was told.

    Raises `Cancelled` once `stop` is set, or when nothing needs the answer any more, and
    `StoreFailed`.
    """
    until = aws.monotonic() + PATIENCE_SECONDS
    attempt = 0
    while True:
        try:
            return ask()
        except Retired:
            raise Cancelled(words.over) from None
        except Unauthorized:
            raise StoreFailed("the control plane does not accept this guest's key") from None
        except msgspec.DecodeError:
            raise StoreFailed(words.unknown) from None
        except Unreachable as error:
            pause = delay_after(error, attempt)
            if aws.monotonic() + pause >= until:
                why = str(error).rstrip(".")
                raise StoreFailed(f"{words.none} within {PATIENCE_SECONDS:.0f} s: {why}") from None
        attempt += 1
        if aws.wait(stop, pause):
            raise Cancelled("the backup was cancelled")
