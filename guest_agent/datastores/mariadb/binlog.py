"""MariaDB's binary log as files: places in it, and the events that a file is made of.

    binlog.000007:48120:9c01f2aa     a place: file, offset, and the four bytes before it

Those bytes are the end of an event, its checksum: a log that was begun anew, in a file of the same
name, has others there. A file begins with four bytes that are always the same, and an event that
says how those behind it are to be read; both are its head.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Iterator
from mmap import mmap
from typing import Final, NamedTuple, TypeAlias

from guest_agent.errors import GuestError

Content: TypeAlias = bytes | mmap
BASE: Final = "binlog"
FILE: Final = re.compile(rf"{BASE}\.([0-9]{{6,10}})")
START: Final = 4
"""Where the first event of a file is."""
MARK_BYTES: Final = 4
_GTID: Final = 162
"""What a transaction, or a statement that is none, begins with."""
_GTID_BODY: Final = struct.Struct("<QI")
"""Of such an event: sequence number, domain."""
_ONE_GTID: Final = re.compile(r"[0-9]{1,10}-[0-9]{1,10}-[0-9]{1,20}")
_HEADER: Final = struct.Struct("<IBIIIH")
"""Seconds, type, server, size, end in its file, flags (MariaDB's replication protocol)."""
_PLACE: Final = re.compile(rf"{FILE.pattern}:([0-9]{{1,12}})(?::([0-9a-f]{{8}}))?")


class Place(NamedTuple):
    """A byte of the log; the `mark` is "" where nobody has read what is before it."""

    file: int
    offset: int
    mark: str = ""

    @classmethod
    def of(cls, position: str) -> Place:
        """The place that a position names; `GuestError` for none."""
        found = _PLACE.fullmatch(position)
        if found is None:
            raise GuestError("the position is no place in MariaDB's log")
        return cls(int(found[1]), int(found[2]), found[3] or "")

    @property
    def name(self) -> str:
        """Of the file."""
        return name_of(self.file)

    def __str__(self) -> str:
        return f"{self.name}:{self.offset}" + (f":{self.mark}" if self.mark else "")


class Group(NamedTuple):
    """What is done as a whole begins here; `seconds` is when it was told to end, or to be done, and
    `gtid` its global transaction id."""

    offset: int
    seconds: int
    gtid: str


def name_of(number: int) -> str:
    """Of the file with that number."""
    return f"{BASE}.{number:06d}"


def head_size(content: Content) -> int | None:
    """How long the head of a file is that begins so; None where that is not yet told."""
    if len(content) < START + _HEADER.size:
        return None
    return START + int(_HEADER.unpack_from(content, START)[3])


def only_gtid(state: str | None) -> str:
    """The last transaction's id, of what a server says of its log; "" of one that has several
    domains, whose transactions have no order."""
    return state if state is not None and _ONE_GTID.fullmatch(state) else ""


def whole_until(content: Content, start: int) -> int:
    """Where the last event ends that is there as a whole, from one that begins at `start`: a server
    may have died behind it."""
    return max((end for *_, end in _events(content, start)), default=start)


def groups(content: Content, start: int) -> Iterator[Group]:
    """What begins at `start`, where an event does, or behind it."""
    for offset, kind, seconds, server, _ in _events(content, start):
        if kind == _GTID:
            number, domain = _GTID_BODY.unpack_from(content, offset + _HEADER.size)
            yield Group(offset, seconds, f"{domain}-{server}-{number}")


def _events(content: Content, start: int) -> Iterator[tuple[int, int, int, int, int]]:
    """Offset, type, seconds, server and end of each event that is there as a whole."""
    while start + _HEADER.size <= len(content):
        seconds, kind, server, size, _, _ = _HEADER.unpack_from(content, start)
        end = start + size
        if size < _HEADER.size or end > len(content):
            return
        yield start, kind, seconds, server, end
        start = end
