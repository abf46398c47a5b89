"""The write-ahead log that is written while a full copy is made, which is sent along with it.

pg_basebackup would fetch it at its end, and all of it had to be kept until then: a copy that takes
long, of a database in which much is written, would need more room than a volume has for it, and
fail each time anew. Here a slot of the copy's own keeps it, and is advanced by what was sent: what
was kept for increments before counts nothing, and goes on to be kept while there is room. All of it
lies on the volume of who restores the copy, beside the data: so much of it a copy may have.
"""

from __future__ import annotations

import logging
import re
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Final

from guest_agent.datastores import archive
from guest_agent.datastores.postgresql import wal
from guest_agent.datastores.postgresql.sql import Session
from guest_agent.datastores.postgresql.wal import SEGMENT_BYTES, Place
from guest_agent.datastores.session import OpenSession
from guest_agent.errors import CommandFailed, GuestError, Unavailable
from guest_agent.storage.room import Room

SLOT: Final = "coffer_full"
LOOK_SECONDS: Final = 2.0
"""So often the server is asked up to where the log has gone on."""
LookAtRoom = Callable[[], Room | None]
_BEGINS: Final = re.compile(rb"START WAL LOCATION: [0-9A-F/]+ \(file ([0-9A-F]{24})\)")
_log = logging.getLogger(__name__)


class LogBeside:
    """The segments from the beginning of a copy on. One that an agent has left which died keeps no
    more than any slot may, until the next copy."""

    def __init__(self, data: Path, room: LookAtRoom, session: OpenSession[Session]) -> None:
        self._folder, self._look_at_room, self._session = data / wal.FOLDER, room, session
        self._next: Place | None = None
        self.reached = Place(0, 0)
        """Up to where it was sent."""
        self._look_at = 0.0
        self._sent, self._most = 0, 0
        """Bytes of it, and how many it may have by the last look."""

    def __enter__(self) -> LogBeside:
        with self._session() as session:
            _drop(session)
            wal.keep_by(session, SLOT)
        return self

    def __exit__(self, *_: object) -> None:
        with suppress(CommandFailed), self._session() as session:
            _drop(session)

    def so_far(self, label: bytes) -> Iterator[bytes]:
        """What there is of it by now; `label` is the first file of the copy, which tells from where
        on it is needed."""
        if self._next is None and label:
            self._next = _begin(label)
        if self._next is None or time.monotonic() < self._look_at:
            return
        self._look_at = time.monotonic() + LOOK_SECONDS
        try:
            with self._session() as session:
                self._release(session)
                ((durable,),) = session.rows("SELECT (pg_current_wal_flush_lsn() - '0/0')::bigint")
                self._measure(session)
        except Unavailable:  # the next look does the same
            return
        yield from self._up_to(int(durable) // SEGMENT_BYTES * SEGMENT_BYTES)

    def rest(self) -> Iterator[bytes]:
        """All that there is behind the end of the copy."""
        if self._next is None:
            raise GuestError("the copy did not tell from where on its log is needed")
        with self._session() as session:
            ((reached,),) = session.rows("SELECT (pg_switch_wal() - '0/0')::bigint")
            self._measure(session)
        self.reached = Place(self._next.timeline, int(reached))
        yield from self._up_to(-(-self.reached.at // SEGMENT_BYTES) * SEGMENT_BYTES)
        # Nothing is released any more: the end of the last segment is behind what was reached, and
        # a slot that is a copy of this one could not keep from there on.
        with self._session() as session:
            self._require_kept(session)

    def hand_over(self, slot: str) -> None:
        """Have a slot keep what comes behind the copy, where it has lost what was before.

        The copy is whole, whatever becomes of that: the next increment fails, and a full one comes.
        """
        try:
            with self._session() as session:
                if wal.drop_lost(session, slot):
                    session.rows("SELECT pg_copy_physical_replication_slot($1, $2)", SLOT, slot)
        except CommandFailed as error:
            _log.warning("The slot of the backups was not made anew: %s", error)

    def _up_to(self, end: int) -> Iterator[bytes]:
        assert self._next is not None, "it has begun"
        while self._next.at < end:
            self._sent += SEGMENT_BYTES
            if self._sent > self._most:
                raise GuestError(
                    "more of the write-ahead log was written while the backup was made than a "
                    f"volume of that size can hold beside the data, {self._most >> 20} MiB: make "
                    "the backup when less is written, or resize the volume"
                )
            name = self._next.segment
            yield from archive.of_file(self._folder, name, f"{wal.FOLDER}/{name}")
            self._next = self._next._replace(at=self._next.at + SEGMENT_BYTES)

    def _measure(self, session: Session) -> None:
        """How much of the log a volume of that size can hold beside what else is on this one now.
        Asked behind the end of what is sent next, which is counted as it lies there."""
        room = self._look_at_room()
        if room is None:
            raise GuestError("the room on the volume is not known")
        ((there,),) = session.rows("SELECT coalesce(sum(size), 0)::bigint FROM pg_ls_waldir()")
        self._most = max(room.left, 0) + int(there)

    def _release(self, session: Session) -> None:
        """What was sent is kept no longer."""
        assert self._next is not None, "it has begun"
        self._require_kept(session)
        session.rows("SELECT pg_replication_slot_advance($1, $2::pg_lsn)", SLOT, self._next.lsn)

    def _require_kept(self, session: Session) -> None:
        """What was sent was kept until then: else it may have been read while it was written
        anew."""
        assert self._next is not None, "it has begun"
        kept = session.rows(
            "SELECT 1 FROM pg_replication_slots WHERE slot_name = $1"
            " AND restart_lsn <= $2::pg_lsn AND wal_status <> 'lost'",
            SLOT,
            self._next.lsn,
        )
        if not kept:
            raise GuestError(
                "more of the write-ahead log was written while the backup was made than the volume "
                "keeps"
            )


def _begin(label: bytes) -> Place:
    found = _BEGINS.search(label)
    if found is None:
        raise GuestError("the copy does not begin with its label")
    return Place.of_segment(found[1].decode())


def _drop(session: Session) -> None:
    session.rows(
        "SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots WHERE slot_name = $1",
        SLOT,
    )
