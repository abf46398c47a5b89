"""A copy of PostgreSQL brought to a moment, or a position, by the pieces of an archive.

The pieces are written where they came from in `pg_wal`, and the server recovers in its single-user
mode: nobody can connect, it ends by itself, and what it was told about the target stands nowhere
afterwards. The data are on a timeline of their own then.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from guest_agent.datastores import processes, tool
from guest_agent.datastores.log import ArchivedPiece, Target
from guest_agent.datastores.postgresql import wal
from guest_agent.datastores.postgresql.server import PostgreSQLServer
from guest_agent.datastores.postgresql.wal import SEGMENT_BYTES, Place
from guest_agent.errors import GuestError
from guest_agent.files import open_folder, open_plain

REPLAY_SECONDS: Final = 4 * 3600.0
_SIGNAL: Final = "recovery.signal"
_NOT_REACHED: Final = "recovery ended before configured recovery target was reached"
_SETTINGS: Final = {
    "restore_command": "false",  # all of the log lies in its folder
    "recovery_target_timeline": "current",
    "recovery_target_action": "promote",
    # Any number that a configuration group may have chosen.
    "max_prepared_transactions": "16000",
    "hot_standby": "off",
    # A server that dies here begins anew, and the end of it is synced as a whole.
    "fsync": "off",
    "lc_messages": "C",
}


def to_target(
    server: PostgreSQLServer,
    data: Path,
    since: str,
    pieces: Iterator[ArchivedPiece],
    target: Target,
) -> None:
    """Have data that go up to `since` (LSN) hold what was committed up to the moment, or what
    begins in the log before the position (LSN).

    Without a piece they do already.
    """
    wanted = _up_to(pieces, target.position) if target.position else pieces
    if not _lay(server, data, since, wanted):
        return
    with open_folder(data) as folder:
        os.close(_owned(server, folder, _SIGNAL))
    try:
        _recover(server, data, {**_SETTINGS, **_told(target)})
    except GuestError as error:
        # Nothing is behind it: it is all of the log, from where that has begun.
        if _NOT_REACHED not in str(error):
            raise
        _recover(server, data, _SETTINGS)
    server.user.take_over(data)


def _told(target: Target) -> dict[str, str]:
    """The target as PostgreSQL knows it."""
    if target.position:
        return {"recovery_target_lsn": target.position, "recovery_target_inclusive": "off"}
    moment = datetime.fromtimestamp(target.ms / 1000, UTC)
    told = moment.isoformat(sep=" ", timespec="milliseconds")
    return {"recovery_target_time": told, "recovery_target_inclusive": "on"}


def _up_to(pieces: Iterable[ArchivedPiece], position: str) -> Iterator[ArchivedPiece]:
    """The first of them that reach a position."""
    for piece in pieces:
        yield piece
        end = Place.of(piece.end)
        if end.at >= Place.of(f"{end.timeline}:{position}").at:
            return
    raise GuestError(f"the log cannot be restored: it does not reach {position}")


def _lay(server: PostgreSQLServer, data: Path, since: str, pieces: Iterable[ArchivedPiece]) -> bool:
    """Write pieces where they belong, over what the copy has brought; whether there was any."""
    laid = False
    with open_folder(data / wal.FOLDER) as folder:
        for piece in pieces:
            begin, end = Place.of(piece.start), Place.of(piece.end)
            if not laid and Place.of(f"{begin.timeline}:{since}").at < begin.at:
                raise GuestError("the archive begins behind the end of the backup")
            size = end.at - begin.at
            if end.timeline != begin.timeline or not 0 < size <= SEGMENT_BYTES - begin.offset:
                raise GuestError("a piece of the archive is not of one segment of the log")
            with os.fdopen(_owned(server, folder, begin.segment), "r+b") as stream:
                stream.truncate(SEGMENT_BYTES)
                stream.seek(begin.offset)
                written = sum(stream.write(chunk) for chunk in piece.chunks)
            if written != size:
                raise GuestError("a piece of the archive has not the size that it tells")
            laid = True
    return laid


def _owned(server: PostgreSQLServer, folder: int, name: str) -> int:
    """The descriptor of a file of the database's, made where there is none."""
    descriptor = open_plain(folder, name, os.O_RDWR | os.O_CREAT)
    server.user.own(descriptor, 0o600)
    return descriptor


def _recover(server: PostgreSQLServer, data: Path, settings: dict[str, str]) -> None:
    """Run a server to the end of its recovery, as who makes data: it asks for the user's name."""
    maker = server.maker
    processes.kill_all_with(str(data), maker.uid)
    maker.take_over(data)
    chosen = [word for name, value in settings.items() for word in ("-c", f"{name}={value}")]
    command = [server.program("postgres"), "--single", "-D", str(data), *chosen, "postgres"]
    tool.run(command, maker, REPLAY_SECONDS)
