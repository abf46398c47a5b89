"""Copies of a PostgreSQL: all of it by pg_basebackup, or the write-ahead log since another copy.

    full         base.tar with the log that it needs     up to a switch of segments behind its end
    increment    segments of the log, whole              up to the last switch of segments

A replication slot keeps the log for the next increment, as much as `max_slot_wal_keep_size` lets
it: what a database writes beyond that, or before the last full backup, costs an increment and not
the volume. A full one sends what is written meanwhile as it goes on (`beside`). A restored server
finds all segments of its chain in `pg_wal` and recovers to their end, on the timeline of the
backup: nobody else goes on with that one.
"""

from __future__ import annotations

import logging
import os
import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from itertools import chain
from pathlib import Path
from typing import Final

from chalicelib import aws
from chalicelib.bus.contract.arguments import StoredBackup
from chalicelib.engines.postgresql import ADMINISTRATOR
from guest_agent.datastores import archive, copies, tool
from guest_agent.datastores.copies import Changing, Copied, Unsound, Write
from guest_agent.datastores.log import ArchivedPiece, Target
from guest_agent.datastores.os_user import own_user
from guest_agent.datastores.postgresql import adoption, foreign, replay, wal
from guest_agent.datastores.postgresql.beside import LogBeside
from guest_agent.datastores.postgresql.server import PostgreSQLServer
from guest_agent.datastores.postgresql.sql import Session
from guest_agent.errors import CommandFailed, GuestError
from guest_agent.files import open_folder
from guest_agent.manager import Progress

SLOT: Final = "coffer_backups"
MOST_SEGMENTS: Final = 100_000
"""In one increment: 1.5 TiB."""
_LOCKS: Final = ".s.PGSQL.*.lock"
_SEGMENT: Final = re.compile(r"[0-9A-F]{24}")
_POSITION: Final = re.compile(r"[0-9A-F]{1,8}/[0-9A-F]{1,8}")
_log = logging.getLogger(__name__)


class PostgreSQLCopies(copies.Copies[Session]):
    """Its position is a place in the log (LSN), of the only timeline that a server has."""

    def copy(self, write: Write, parent: StoredBackup | None, stop: aws.Event) -> Copied:
        at = self._full(write, stop) if parent is None else self._since(write, parent)
        return Copied(at, at, at)

    def completed(self, position: str, parent: StoredBackup | None) -> None:
        """A full copy begins a chain: what the log was kept for before is not continued.

        It is whole, whatever becomes of that: the slot keeps more, or the next increment fails.
        """
        if parent is not None:
            return
        try:
            with self.session() as session:
                session.rows("SELECT pg_replication_slot_advance($1, $2::pg_lsn)", SLOT, position)
        except CommandFailed as error:
            _log.warning("The slot of the backups was not advanced: %s", error)

    def unpack(self, chunks: Iterable[bytes], folder: Path) -> None:
        archive.unpack(chunks, folder, self.server.user)

    def apply(self, folders: list[Path], changing: Changing) -> Path:
        """What was moved by one that was cut short is there already."""
        full, *increments = folders
        for lock in full.glob(_LOCKS):  # of the server that was copied
            lock.unlink()
        for increment in increments:
            for segment in sorted(increment.iterdir()):
                if not _SEGMENT.fullmatch(segment.name):
                    raise Unsound("an increment holds something that is no write-ahead log")
                segment.rename(full / wal.FOLDER / segment.name)
        return full

    def replay(
        self, data: Path, since: str, pieces: Iterator[ArchivedPiece], target: Target
    ) -> None:
        assert isinstance(self.server, PostgreSQLServer)
        replay.to_target(self.server, data, since, pieces, target)

    def require_own(self, copy: Path) -> None:
        assert isinstance(self.server, PostgreSQLServer)
        foreign.require_own(self.server, copy)

    def adopt(self, data: Path, progress: Progress) -> Path:
        assert isinstance(self.server, PostgreSQLServer)
        return adoption.adopt(self.server, data, progress)

    def _full(self, write: Write, stop: aws.Event) -> str:
        assert isinstance(self.server, PostgreSQLServer)
        with self.session() as session:
            # One that an agent of before has started lets no copy be made by its socket, and keeps
            # the log without a bound.
            self.server.adopted(session)
        self._keep_log()
        beside = LogBeside(self.server.layout.data, self.server.room.look, self.session)
        with self._socket() as socket, beside as log:
            command = [
                self.server.program("pg_basebackup"),
                f"--host=/proc/self/fd/{socket}",
                f"--username={ADMINISTRATOR}",
                "--no-password",
                "--pgdata=-",
                "--format=tar",
                "--wal-method=none",
                "--checkpoint=fast",
                "--no-manifest",
            ]
            told = tool.output(command, own_user(), stop, at=Path("/"), handed_on=(socket,))
            write(chain(archive.between(told, log.so_far), log.rest(), (archive.end(),)))
            log.hand_over(SLOT)
        return log.reached.lsn

    def _since(self, write: Write, parent: StoredBackup) -> str:
        """The segments behind the parent, and with the one that it ends in; the slot keeps them."""
        if not _POSITION.fullmatch(parent.position):
            raise GuestError(f"the backup {parent.id} tells no place in the log to go on from")
        with self.session() as session:
            self._require_kept(session, parent)
            session.rows(
                "SELECT pg_replication_slot_advance($1, $2::pg_lsn)", SLOT, parent.position
            )
            ((reached,),) = session.rows("SELECT pg_switch_wal()::text")
            # Of the bytes behind the one and before the other: at a bound between two segments
            # PostgreSQL names the former one until 16, the latter since 17.
            ((first, last),) = session.rows(
                "SELECT pg_walfile_name($1::pg_lsn + 1), pg_walfile_name($2::pg_lsn - 1)",
                parent.position,
                reached,
            )
        write(self._files(self._segments(str(first), str(last))))
        with self.session() as session:
            # What it did not keep to the end may have been read while it was written anew.
            self._require_kept(session, parent)
        return str(reached)

    def _require_kept(self, session: Session, parent: StoredBackup) -> None:
        kept = session.rows(
            "SELECT 1 FROM pg_replication_slots WHERE slot_name = $1 AND restart_lsn <= $2::pg_lsn"
            " AND wal_status IN ('reserved', 'extended')",
            SLOT,
            parent.position,
        )
        if not kept:
            raise GuestError(
                f"the write-ahead log since the backup {parent.id} is not kept any more: a full "
                "backup begins a new chain"
            )

    def _segments(self, first: str, last: str) -> list[str]:
        folder = self.server.layout.data / wal.FOLDER
        with open_folder(folder) as opened:
            # By the descriptor: a path could lead elsewhere by now.
            names = sorted(name for name in os.listdir(opened) if _SEGMENT.fullmatch(name))  # noqa: PTH208
        found = [name for name in names if first <= name <= last]
        if first > last:  # nothing was written since
            return []
        if not found or (found[0], found[-1]) != (first, last) or len(found) > MOST_SEGMENTS:
            raise GuestError("the write-ahead log since the parent is not whole on the volume")
        return found

    def _files(self, segments: list[str]) -> Iterator[bytes]:
        for name in segments:
            yield from archive.of_file(self.server.layout.data / wal.FOLDER, name, name)
        yield archive.end()

    def _keep_log(self) -> None:
        """Have the slot, which keeps the log for increments."""
        with self.session() as session:
            wal.keep_by(session, SLOT)

    @contextmanager
    def _socket(self) -> Iterator[int]:
        """The folder of the server's socket, as a path that is short enough for one."""
        with open_folder(self.server.layout.data) as folder:
            yield folder
