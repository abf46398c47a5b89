"""A copy of MariaDB brought to a moment, or a transaction, by the pieces of an archive.

The files of the log are put together again, cut off behind that, and given as relay logs to a
server of its own that nobody but the agent can reach. The thread that applies them is a replica's:
so rows, statements, XA transactions that wait for their second half, and what a master that died
has left unfinished are done as on a replica, without a way through text.
"""

from __future__ import annotations

import logging
import mmap
import os
import subprocess
import time
from collections.abc import Iterator
from itertools import chain
from pathlib import Path
from typing import Any, Final, NamedTuple

from guest_agent.datastores import processes, tool
from guest_agent.datastores.log import ArchivedPiece, Target
from guest_agent.datastores.mariadb import binlog, sql, superuser
from guest_agent.datastores.mariadb.binlog import Group, Place
from guest_agent.datastores.mariadb.layout import SOCKET
from guest_agent.datastores.mariadb.server import MariaDBServer
from guest_agent.datastores.mariadb.sql import Session
from guest_agent.datastores.os_user import agent_account
from guest_agent.datastores.service import READY_SECONDS, STOP_SECONDS
from guest_agent.datastores.session import CALL_SECONDS
from guest_agent.errors import CommandFailed, GuestError
from guest_agent.files import open_folder, open_plain

REPLAY_SECONDS: Final = 4 * 3600.0
ROUND_MS: Final = 1000 + int(CALL_SECONDS * 1000)
"""Between the moment up to which the log is told to go, and the one at which its end was read."""
_RELAY: Final = "relay"
_SETTINGS: Final = (
    "skip-networking",
    "skip-slave-start",
    "event-scheduler=OFF",
    "relay-log-purge=OFF",
    # Whatever server's they say they are.
    "replicate-same-server-id=ON",
    "slave-max-allowed-packet=1G",
    # What was made is made again, also by who had chosen to be told less.
    "innodb-strict-mode=OFF",
    "innodb-log-file-size=16M",
    # A server that dies here begins anew, and the end of it is synced as a whole.
    "innodb-doublewrite=OFF",
    "innodb-flush-log-at-trx-commit=0",
)
_IDLE: Final = "has read all relay log"
_DISABLED: Final = "SELECT db, name FROM mysql.event WHERE status = 'SLAVESIDE_DISABLED'"
_MOST_EVENTS: Final = 100_000
_log = logging.getLogger(__name__)


class At(NamedTuple):
    """A byte of the relay logs: which of them, from 0, and where in it."""

    log: int
    offset: int


class File(NamedTuple):
    """A relay log with what there is of a file: its bytes from `least` on were `shift` bytes
    further behind in that.
    """

    number: int
    path: Path
    least: int
    shift: int


class Surely:
    """Up to where all was committed by the moment, and where nothing is any more, whatever times
    transactions tell: those anybody may choose.

    With its last piece a round of the archiver tells up to when it goes. It has nothing that was
    committed so long after that as it may take to ask a database for its position.
    """

    def __init__(self, target_ms: int) -> None:
        self._target_ms, self._told_ms = target_ms, 0
        self.before = At(0, 0)

    def heard(self, until_ms: int, end: At) -> None:
        """A piece that goes up to `end`."""
        if until_ms > self._told_ms:
            self._told_ms = until_ms
            if until_ms + ROUND_MS <= self._target_ms:
                self.before = end

    @property
    def over(self) -> bool:
        """Whether all that was committed by the moment has been heard of."""
        return self._told_ms >= self._target_ms


class Files:
    """What the pieces of an archive have of the log, file by file."""

    def __init__(self, server: MariaDBServer, folder: Path) -> None:
        self._server, self._folder = server, folder
        self.all: list[File] = []

    def lay(self, piece: ArchivedPiece) -> At:
        """Write a piece where it belongs; where it ends."""
        begin, end = Place.of(piece.start), Place.of(piece.end)
        first = begin.offset if begin.file == end.file else 0
        head, chunks = _split(piece.chunks) if first else (b"", piece.chunks)
        if not self.all or self.all[-1].number != end.file:
            path = self._folder / f"{_RELAY}.{len(self.all) + 1:06d}"
            least = len(head) or binlog.START
            self.all.append(File(end.file, path, least, first - len(head)))
            first, chunks = first - len(head), chain((head,), chunks)
        file = self.all[-1]
        with os.fdopen(self._owned(file.path.name), "ab") as stream:
            if stream.tell() + file.shift != first:
                raise GuestError("the pieces of the archive do not go on from one to the next")
            for chunk in chunks:
                stream.write(chunk)
            if stream.tell() + file.shift != end.offset:
                raise GuestError("a piece of the archive has not the size that it tells")
            return At(len(self.all) - 1, stream.tell())

    def where(self, place: Place) -> At:
        """Where a place of the log is; `GuestError` where the pieces begin behind it."""
        for index, file in enumerate(self.all):
            if file.number == place.file:
                offset = place.offset - file.shift
                if file.least <= offset <= file.path.stat().st_size:
                    return At(index, offset)
        if self.all[0].number == place.file + 1 and not self.all[0].shift:
            return At(0, binlog.START)  # it is the end of the file before
        raise GuestError("the archive does not go on where the backup has ended")

    def groups(self, start: At) -> Iterator[tuple[At, Group]]:
        """What begins at `start`, where an event does, or behind it."""
        for index in range(start.log, len(self.all)):
            with _mapped(self.all[index].path) as content:
                for group in binlog.groups(content, _begin(start, index)):
                    yield At(index, group.offset), group

    def cut(self, start: At, end: At | None) -> None:
        """Leave nothing from `end` on, nor half of an event behind `start`, where one begins."""
        if end is not None:
            os.truncate(self.all[end.log].path, end.offset)
            del self.all[end.log + 1 :]
        for index in range(start.log, len(self.all)):
            with _mapped(self.all[index].path) as content:
                size = binlog.whole_until(content, _begin(start, index))
            os.truncate(self.all[index].path, size)

    def index(self) -> None:
        """Write the index of the relay logs."""
        with os.fdopen(self._owned(f"{_RELAY}.index"), "w") as stream:
            stream.writelines(f"{file.path}\n" for file in self.all)

    def _owned(self, name: str) -> int:
        with open_folder(self._folder) as folder:
            descriptor = open_plain(folder, name, os.O_WRONLY | os.O_CREAT)
        self._server.user.own(descriptor, 0o600)
        return descriptor


def to_target(
    server: MariaDBServer,
    data: Path,
    since: str,
    pieces: Iterator[ArchivedPiece],
    target: Target,
) -> None:
    """Have data that go up to `since` hold what was committed up to the moment, or what the log has
    up to a transaction with that one."""
    folder = server.user.make_folder(server.layout.restored / "log")
    files, place = Files(server, folder), Place.of(since)
    lay = _lay_transaction if target.position else _lay_moment
    end = lay(files, place, pieces, target)
    if not files.all:
        return
    start = files.where(place)
    files.cut(start, end)
    files.index()
    _apply(server, data, folder, files, start)


def _lay_moment(
    files: Files, since: Place, pieces: Iterator[ArchivedPiece], target: Target
) -> At | None:
    """Where what was committed later begins, if there is something.

    The log has times in seconds: all of the moment's own second stays.
    """
    surely = Surely(target.ms)
    for piece in pieces:
        if not surely.over:
            surely.heard(piece.until_ms, files.lay(piece))
    if not files.all:
        return None
    found = files.groups(max(surely.before, files.where(since)))
    return next((at for at, group in found if group.seconds * 1000 > target.ms), None)


def _lay_transaction(
    files: Files, since: Place, pieces: Iterator[ArchivedPiece], target: Target
) -> At | None:
    """Where what is behind the transaction begins; None where nothing is, and a round of the
    archiver has ended with it or behind it: what ends elsewhere may have half of it."""
    looked: At | None = None
    reached, whole = False, False
    for piece in pieces:
        files.lay(piece)
        if Place.of(piece.end)[:2] < since[:2]:
            continue  # it was sent while the copy was made
        for at, group in files.groups(looked or files.where(since)):
            if reached and at != looked:
                return at
            looked, reached = at, group.gtid == target.position
        whole = whole or (reached and bool(piece.until_position))
    if not whole:
        raise GuestError(
            f"the log cannot be restored: it does not reach transaction {target.position}"
        )
    return None


def _begin(start: At, index: int) -> int:
    """Where an event of that log begins that is not before `start`."""
    return start.offset if index == start.log else binlog.START


def _apply(server: MariaDBServer, data: Path, folder: Path, files: Files, start: At) -> None:
    """Have a server do what is in the relay logs behind `start`, and end."""
    user, nothing = server.user, subprocess.DEVNULL
    processes.kill_all_with(f"--datadir={data}", user.uid)
    user.make_folder(server.layout.scratch)
    superuser.write_init_file(server.layout)
    with tool.running(_command(server, data, folder), user, stdin=nothing, stdout=nothing) as run:
        session = connected(server, data, run, REPLAY_SECONDS)
        if session is not None:  # else it has ended, and says why
            _replay(session, run, files, start)
            session.close()
            run.terminate()
            run.wait(STOP_SECONDS)


def _command(server: MariaDBServer, data: Path, folder: Path) -> list[str]:
    places = {
        "datadir": data,
        "socket": SOCKET,
        "tmpdir": server.layout.scratch,
        "slave-load-tmpdir": server.layout.scratch,
        "secure-file-priv": server.layout.scratch,
        "init-file": server.layout.init_file,
        "relay-log": folder / _RELAY,
        "relay-log-index": folder / f"{_RELAY}.index",
        "relay-log-info-file": folder / "position",
        "master-info-file": folder / "master",
    }
    told = [f"--{name}={value}" for name, value in places.items()]
    return [
        processes.program("mariadbd"),
        "--no-defaults",
        *told,
        *(f"--{setting}" for setting in _SETTINGS),
    ]


def connected(
    server: MariaDBServer, data: Path, run: subprocess.Popen[bytes], seconds: float
) -> Session | None:
    """A session of so long with a second server, once it answers; None when it ends before."""
    made: list[Session] = []
    until = time.monotonic() + seconds

    def settled() -> bool:
        try:
            made.append(sql.connect(data, agent_account(), server.user.uid, until))
        except CommandFailed:
            return run.poll() is not None
        return True

    if not processes.wait_until(settled, READY_SECONDS):
        raise GuestError(f"the database did not answer within {READY_SECONDS:.0f} s")
    return made[0] if made else None


def _replay(session: Session, run: subprocess.Popen[bytes], files: Files, start: At) -> None:
    # A replica disables the events that its master has; those a customer has disabled stay so.
    before = {tuple(row) for row in session.rows(_DISABLED, most=_MOST_EVENTS)}
    session.run(
        "CHANGE MASTER TO master_host = 'archive',"
        f" relay_log_file = '{files.all[start.log].path.name}', relay_log_pos = {start.offset}"
    )
    session.run("START SLAVE SQL_THREAD")
    told: dict[str, Any] = {}

    def ended() -> bool:
        told.update(session.shown("SHOW SLAVE STATUS")[0])
        idle = _IDLE in (told["Slave_SQL_Running_State"] or "")
        return told["Slave_SQL_Running"] == "No" or idle or run.poll() is not None

    if not processes.wait_until(ended, REPLAY_SECONDS):
        raise GuestError(f"the log was not replayed within {REPLAY_SECONDS:.0f} s")
    if told["Slave_SQL_Running"] == "No" or told["Relay_Log_File"] != files.all[-1].path.name:
        _log.error("The replay stopped in %s at %s.", told["Relay_Log_File"], told["Relay_Log_Pos"])
        raise GuestError(f"the log could not be replayed (error {told['Last_SQL_Errno']})")
    session.run("STOP SLAVE")
    for database, name in set(session.rows(_DISABLED, most=_MOST_EVENTS)) - before:
        session.run(
            "UPDATE mysql.event SET status = 'ENABLED'"  # noqa: S608 - quoted by the session
            f" WHERE db = {session.literal(database)} AND name = {session.literal(name)}"
        )
    session.run("RESET SLAVE ALL")
    session.run("SET GLOBAL gtid_slave_pos = ''")


def _split(chunks: Iterator[bytes]) -> tuple[bytes, Iterator[bytes]]:
    """The head that a piece from within a file begins with, and what is behind it."""
    content = b""
    for chunk in chunks:
        content += chunk
        size = binlog.head_size(content)
        if size is not None and len(content) >= size:
            return content[:size], chain((content[size:],), chunks)
    raise GuestError("a piece of the archive has no head")


def _mapped(path: Path) -> mmap.mmap:
    with path.open("rb") as stream:
        return mmap.mmap(stream.fileno(), 0, prot=mmap.PROT_READ)
