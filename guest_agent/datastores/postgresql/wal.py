"""Places in PostgreSQL's write-ahead log, and the slots that keep it.

A place is a timeline and a position on it (LSN): `1:0/30004B8`. A server has one timeline from its
first start on; one that was restored to a moment has the next.
"""

from __future__ import annotations

import re
from typing import Final, NamedTuple

from guest_agent.datastores.postgresql.sql import Session
from guest_agent.errors import GuestError

FOLDER: Final = "pg_wal"
SEGMENT_BYTES: Final = 16 * 1024**2
"""Of one file, as initdb makes it."""
_PLACE: Final = re.compile(r"([0-9]{1,10}):([0-9A-F]{1,8})/([0-9A-F]{1,8})")


class Place(NamedTuple):
    """A byte of the log."""

    timeline: int
    at: int

    @classmethod
    def of(cls, position: str) -> Place:
        """The place that a position names; `GuestError` for none."""
        found = _PLACE.fullmatch(position)
        if found is None:
            raise GuestError("the position is no place in PostgreSQL's log")
        return cls(int(found[1]), int(found[2], 16) << 32 | int(found[3], 16))

    @classmethod
    def of_segment(cls, name: str) -> Place:
        """The first byte of the file of that name."""
        timeline, high, low = (int(name[at : at + 8], 16) for at in (0, 8, 16))
        return cls(timeline, high << 32 | low * SEGMENT_BYTES)

    @property
    def lsn(self) -> str:
        """As PostgreSQL writes it."""
        return f"{self.at >> 32:X}/{self.at & 0xFFFFFFFF:X}"

    @property
    def segment(self) -> str:
        """The name of the file that has the byte."""
        number, in_one = self.at // SEGMENT_BYTES, (1 << 32) // SEGMENT_BYTES
        return f"{self.timeline:08X}{number // in_one:08X}{number % in_one:08X}"

    @property
    def offset(self) -> int:
        """Where in that file."""
        return self.at % SEGMENT_BYTES

    def __str__(self) -> str:
        return f"{self.timeline}:{self.lsn}"


def keep_by(session: Session, slot: str) -> None:
    """Have a slot that keeps the log, with what it kept; one that has lost that is made anew."""
    drop_lost(session, slot)
    session.rows(
        "SELECT pg_create_physical_replication_slot($1, true) WHERE NOT EXISTS"
        " (SELECT FROM pg_replication_slots WHERE slot_name = $1)",
        slot,
    )


def drop_lost(session: Session, slot: str) -> bool:
    """Drop a slot that has lost what it kept; whether it had."""
    lost = session.rows(
        "SELECT 1 FROM pg_replication_slots WHERE slot_name = $1"
        " AND coalesce(wal_status, 'lost') NOT IN ('reserved', 'extended')",
        slot,
    )
    if lost:
        session.rows("SELECT pg_drop_replication_slot($1)", slot)
    return bool(lost)
