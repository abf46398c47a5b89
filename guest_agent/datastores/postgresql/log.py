"""PostgreSQL's write-ahead log for an archive: kept by a slot of its own, read as bytes.

A piece is a run of bytes of one segment, up to where the log is durable. So nothing has to be ended
for it: a database in which little is written sends little, and one that rests sends nothing.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from functools import partial
from typing import Final

from chalicelib import aws
from guest_agent.datastores import log
from guest_agent.datastores.log import LogLost, Piece
from guest_agent.datastores.postgresql import wal
from guest_agent.datastores.postgresql.server import PostgreSQLServer
from guest_agent.datastores.postgresql.sql import Session
from guest_agent.datastores.postgresql.wal import SEGMENT_BYTES, Place
from guest_agent.datastores.processes import POLL_SECONDS
from guest_agent.errors import GuestError
from guest_agent.files import open_folder, open_plain

SLOT: Final = "coffer_log"
FLUSH_SECONDS: Final = 2.0
"""For the server to make durable by itself what was committed without waiting for that."""
CHUNK_BYTES: Final = 1024**2


class PostgreSQLLog(log.Log[Session]):
    """Its slot is in the data directory, and so outlives the server's disk and its engine."""

    def keep(self) -> bool:
        assert isinstance(self.server, PostgreSQLServer)
        with self.session() as session:
            # One that an agent of before has started keeps the log of a slot without a bound.
            self.server.adopted(session)
            wal.keep_by(session, SLOT)
        return True

    def forget(self) -> None:
        with self.session() as session:
            session.rows(
                "SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots"
                " WHERE slot_name = $1",
                SLOT,
            )

    def begin(self) -> str:
        with self.session() as session:
            return str(_durable(session))

    def since(self, position: str) -> Iterator[Piece]:
        begin, until_ms = Place.of(position), int(aws.clock() * 1000)
        with self.session() as session:
            reached = _durable(session)
            _require_kept(session, begin)
        if reached.timeline != begin.timeline or reached.at < begin.at:
            raise LogLost("the database goes on from another point of its log than it had reached")
        while begin.at < reached.at:
            behind = begin.at - begin.offset + SEGMENT_BYTES
            end = begin._replace(at=min(behind, reached.at))
            told = until_ms if end == reached else 0
            yield Piece(str(begin), str(end), told, partial(self._chunks, begin, end), end.lsn)
            begin = end

    def release(self, position: str) -> None:
        with self.session() as session:
            session.rows(
                "SELECT pg_replication_slot_advance(slot_name, $2::pg_lsn)"
                " FROM pg_replication_slots WHERE slot_name = $1 AND restart_lsn < $2::pg_lsn",
                SLOT,
                Place.of(position).lsn,
            )
            if self.server.refuses_writes(session):
                # Only a checkpoint removes the log, and where nothing is written none is made.
                session.run("CHECKPOINT")

    def waiting(self, position: str) -> int:
        with self.session() as session:
            ((waiting,),) = session.rows(
                "SELECT greatest(pg_current_wal_insert_lsn() - $1::pg_lsn, 0)::bigint",
                Place.of(position).lsn,
            )
        return int(waiting)

    def _chunks(self, begin: Place, end: Place) -> Iterator[bytes]:
        """The bytes between two places, the latter of which is the end of a segment at most."""
        try:
            with open_folder(self.server.layout.data / wal.FOLDER) as folder:
                descriptor = open_plain(folder, begin.segment, os.O_RDONLY)
        except (OSError, GuestError):
            raise LogLost("a segment of the write-ahead log is not there any more") from None
        with os.fdopen(descriptor, "rb", buffering=0) as stream:
            stream.seek(begin.offset)
            left = end.at - begin.at
            while left:
                chunk = stream.read(min(left, CHUNK_BYTES))
                if not chunk:
                    raise LogLost("a segment of the write-ahead log is not whole")
                left -= len(chunk)
                yield chunk
        with self.session() as session:
            # What was not kept to the end may have been read while it was written anew.
            _require_kept(session, begin)


def _durable(session: Session) -> Place:
    """Up to where the log is durable, with all that was committed before."""
    inserted, _ = _places(session)
    until = time.monotonic() + FLUSH_SECONDS
    while (reached := _places(session)[1]).at < inserted.at:
        if time.monotonic() >= until:
            with session.transaction():
                session.run("SET LOCAL synchronous_commit = 'local'")
                session.run("SELECT pg_current_xact_id()")
            return _places(session)[1]
        time.sleep(POLL_SECONDS)
    return reached


def _places(session: Session) -> tuple[Place, Place]:
    """Up to where the log is written, and up to where it is durable."""
    ((name, inserted, durable),) = session.rows(
        "SELECT pg_walfile_name(pg_current_wal_insert_lsn()),"
        " (pg_current_wal_insert_lsn() - '0/0')::bigint,"
        " (pg_current_wal_flush_lsn() - '0/0')::bigint"
    )
    timeline = int(str(name)[:8], 16)
    return Place(timeline, int(inserted)), Place(timeline, int(durable))


def _require_kept(session: Session, place: Place) -> None:
    """`LogLost` unless the slot keeps the log from there on."""
    found = session.rows(
        "SELECT restart_lsn <= $2::pg_lsn AND wal_status <> 'lost'"
        " FROM pg_replication_slots WHERE slot_name = $1",
        SLOT,
        place.lsn,
    )
    if not found:
        raise LogLost("the replication slot that kept the write-ahead log is gone")
    if not found[0][0]:
        raise LogLost("more was written than the volume keeps of the write-ahead log")
