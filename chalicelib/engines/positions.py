"""Places in an engine's log by which its customers know them.

    PostgreSQL   0/3000060   an LSN (`pg_current_wal_insert_lsn()`): what begins before it
    MariaDB      0-1-42      a GTID (`@@last_gtid`): that transaction, and what is before it

What an archive has up to such a place the guest tells; here it is read and compared.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Final, NamedTuple

import msgspec

_LSN: Final = re.compile(r"([0-9A-Fa-f]{1,8})/([0-9A-Fa-f]{1,8})", re.ASCII)
_GTID: Final = re.compile(r"(\d{1,10})-(\d{1,10})-(\d{1,20})", re.ASCII)


class LogPlace(NamedTuple):
    """A place, comparable with others of its sequence."""

    sequence: tuple[int, ...]
    number: int


class LogPositions(msgspec.Struct, frozen=True):
    """How an engine's customers name a place in its log: what that is called, an example, how one
    is read (None: it is none), and how it is written."""

    name: str
    example: str
    read: Callable[[str], LogPlace | None]
    written: Callable[[LogPlace], str]


def _lsn(text: str) -> LogPlace | None:
    found = _LSN.fullmatch(text)
    return LogPlace((), int(found[1], 16) << 32 | int(found[2], 16)) if found else None


def _as_lsn(place: LogPlace) -> str:
    return f"{place.number >> 32:X}/{place.number & 0xFFFFFFFF:X}"


def _gtid(text: str) -> LogPlace | None:
    found = _GTID.fullmatch(text)
    return LogPlace((int(found[1]), int(found[2])), int(found[3])) if found else None


def _as_gtid(place: LogPlace) -> str:
    return "-".join(map(str, (*place.sequence, place.number)))


LSN: Final = LogPositions("log sequence number (LSN)", "0/3000060", _lsn, _as_lsn)
GTID: Final = LogPositions("global transaction id (GTID)", "0-1-42", _gtid, _as_gtid)
