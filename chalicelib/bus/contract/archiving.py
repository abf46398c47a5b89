"""How the archive of a guest's log is doing, as a heartbeat carries it: small, and with bounds."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Final

import msgspec

from chalicelib.bus.contract.pieces import MOST_NUMBER
from chalicelib.bus.contract.values import BackupId, Bytes, LogPosition, Sha256, Value

MOST_REASON: Final = 200

PieceNumber = Annotated[int, msgspec.Meta(ge=0, le=MOST_NUMBER)]
"""Of the last piece that was sent; 0 of none."""
Moment = Annotated[int, msgspec.Meta(ge=0, le=10**14)]
"""Milliseconds since the epoch, by the clock of the database's server."""
Reason = Annotated[str, msgspec.Meta(max_length=MOST_REASON)]


class ArchiveState(StrEnum):
    """`WAITS`: for the database; `RESTART`: for a restart of it. `BROKEN`: the log does not go on
    from what was sent, and this archive has ended."""

    WAITS = "waits"
    RESTART = "restart"
    RUNS = "runs"
    BROKEN = "broken"


class Archiving(Value, frozen=True):
    """Its head (number and sum), from when and until when it has all that was committed, up to
    which position at least, the bytes of log that wait, and why it does not run or what holds it
    up."""

    id: BackupId
    state: ArchiveState
    number: PieceNumber = 0
    sha256: Sha256 | None = None
    from_ms: Moment = 0
    until_ms: Moment = 0
    until_position: LogPosition = ""
    waiting: Bytes = 0
    reason: Reason = ""


def read(told: object) -> Archiving | None:
    """What a guest has told; None of one that archives nothing, or tells what does not fit."""
    try:
        found = msgspec.convert(told, Archiving)
    except msgspec.ValidationError:
        return None
    head = found.number == 0 or found.sha256 is not None
    return found if head and found.from_ms <= found.until_ms else None


def sentence(text: str) -> str:
    """A reason as it is told: a bounded piece of plain text."""
    return "".join(each for each in text if each.isprintable())[:MOST_REASON]
