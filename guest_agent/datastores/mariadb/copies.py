"""Copies of a MariaDB by mariadb-backup: all of it, or the pages behind a log sequence number.

The tool reads the database's files, so it runs as the database's user and not as the agent. For its
time it has an account of its own with a password that only its memory knows: the user that it runs
as may have no name on its server, and then no socket tells who it is.
"""

from __future__ import annotations

import logging
import os
import re
import shutil
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

from chalicelib import aws
from chalicelib.bus.contract.arguments import StoredBackup
from chalicelib.engines.mariadb import BACKUP_USER
from guest_agent.backups.store import Cancelled
from guest_agent.datastores import copies, processes, streams, tool
from guest_agent.datastores.copies import Changing, Copied, Write
from guest_agent.datastores.log import ArchivedPiece, Target
from guest_agent.datastores.mariadb import adoption, binlog, replay
from guest_agent.datastores.mariadb.binlog import FILE, Place
from guest_agent.datastores.mariadb.layout import SOCKET
from guest_agent.datastores.mariadb.server import MariaDBServer
from guest_agent.datastores.mariadb.sql import Session
from guest_agent.datastores.mariadb.superuser import LOCAL
from guest_agent.errors import CommandFailed, GuestError
from guest_agent.files import open_folder, open_plain
from guest_agent.manager import Progress

PREPARE_SECONDS: Final = 4 * 3600.0
"""For one backup of a chain: what was written while it was made is done again."""
LOOK_MS: Final = 20
"""How often the tool looks for more of InnoDB's log. At its end it holds commits back until it has
looked: a second, unless it is told otherwise."""
LOCKED_SECONDS: Final = 900.0
"""So long the tool may wait for customers' locks. By itself it would for a day, and whoever changes
a table meanwhile would wait behind it; it reads the log all the time, so it never looks idle."""
LOOK_SECONDS: Final = 10.0
_LOCKED: Final = (
    "SELECT MAX(TIME) FROM information_schema.PROCESSLIST"
    " WHERE USER = %s AND STATE = 'Waiting for backup lock'"
)
SECRET_BYTES: Final = 24
_PRIVILEGES: Final = "RELOAD, PROCESS, LOCK TABLES, BINLOG MONITOR, CONNECTION ADMIN"
"""CONNECTION ADMIN finds a place where customers have taken all, and runs no `init_connect`."""
_CHECKPOINTS: Final = "xtrabackup_checkpoints"
_INFO: Final = "xtrabackup_info"
_MOST_NOTED: Final = 64 * 1024
_TO_LSN: Final = re.compile(r"^to_lsn = (\d+)$", re.MULTILINE)
_LOGGED: Final = re.compile(
    rf"^binlog_pos = filename '({FILE.pattern})', position '(\d+)'"
    r"(?:, GTID of the last change '([-,0-9]*)')?",
    re.MULTILINE,
)
_OF_THE_TOOL: Final = ("xtrabackup_*", "mariadb_backup_*", "backup-my.cnf")
_OF_REPLICATION: Final = ("*master*.info", "relay-log*.info")
"""The tool copies none. A server that finds them goes on as a replica of whoever they name, and
applies with all rights what that one sends."""
_log = logging.getLogger(__name__)


class MariaDBCopies(copies.Copies[Session]):
    """Its position is the checkpoint (LSN) that the next increment begins with."""

    def copy(self, write: Write, parent: StoredBackup | None, stop: aws.Event) -> Copied:
        layout, user = self.server.layout, self.server.user
        of_this_server = f"--datadir={layout.data}"
        processes.kill_all_with(of_this_server, user.uid)
        with self._notes() as notes, self._login() as login:
            command = [
                processes.program("mariadb-backup"),
                f"--defaults-file=/proc/self/fd/{login}",
                "--backup",
                "--stream=mbstream",
                f"--log-copy-interval={LOOK_MS}",
                of_this_server,
                f"--tmpdir={layout.scratch}",
                f"--target-dir={notes}",
                f"--extra-lsndir={notes}",
            ]
            if parent is not None:
                command.append(f"--incremental-lsn={_lsn(parent)}")
            patience = Patience(stop, self._locked_seconds)
            try:
                write(tool.output(command, user, patience, at=layout.data, handed_on=(login,)))
            except Cancelled:
                patience.require_unlocked()
                raise
            return Copied(_reached(notes), *_logged(notes))

    def _locked_seconds(self) -> float:
        """How long the tool has waited by now for what customers' sessions hold."""
        try:
            with self.session() as session:
                ((waited,),) = session.rows(_LOCKED, BACKUP_USER)
        except CommandFailed:  # the next look does the same
            return 0.0
        return float(waited or 0)

    def unpack(self, chunks: Iterable[bytes], folder: Path) -> None:
        command = [processes.program("mbstream"), "--extract", f"--directory={folder}"]
        tool.feed(command, self.server.user, streams.of_mbstream(chunks))

    def apply(self, folders: list[Path], changing: Changing) -> Path:
        """An increment is changed too: the tool recovers in it what was written meanwhile."""
        full, *increments = folders
        changing(full)
        self._prepare(full)
        for increment in increments:
            changing(increment)
            self._prepare(full, f"--incremental-dir={increment}")
        for pattern in (*_OF_THE_TOOL, *_OF_REPLICATION):
            for path in full.glob(pattern):
                if not path.is_dir():  # a database may have a name like that
                    path.unlink()
        return full

    def replay(
        self, data: Path, since: str, pieces: Iterator[ArchivedPiece], target: Target
    ) -> None:
        assert isinstance(self.server, MariaDBServer)
        replay.to_target(self.server, data, since, pieces, target)

    def require_own(self, copy: Path) -> None:
        adoption.require_own(copy)

    def adopt(self, data: Path, progress: Progress) -> Path:
        assert isinstance(self.server, MariaDBServer)
        progress("putting the accounts right")
        adoption.adopt(self.server, data)
        return data

    def _prepare(self, full: Path, *more: str) -> None:
        target = f"--target-dir={full}"
        processes.kill_all_with(target, self.server.user.uid)
        command = [processes.program("mariadb-backup"), "--no-defaults", "--prepare", target, *more]
        tool.run(command, self.server.user, PREPARE_SECONDS)

    @contextmanager
    def _notes(self) -> Iterator[Path]:
        """A folder for what the tool has to say at its end."""
        user, folder = self.server.user, self.server.layout.scratch / "backup"
        shutil.rmtree(folder, ignore_errors=True)
        user.make_folder(self.server.layout.scratch)
        user.make_folder(folder)
        try:
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)

    @contextmanager
    def _login(self) -> Iterator[int]:
        """The tool's account, while it lasts, as an option file in memory: its descriptor."""
        secret = aws.token_bytes(SECRET_BYTES).hex()
        with self.session() as session:
            account = session.account(BACKUP_USER, LOCAL)
            session.run(f"CREATE OR REPLACE USER {account} {session.password(secret)}")
            session.run(f"GRANT {_PRIVILEGES} ON *.* TO {account}")
        options = os.memfd_create("coffer-backup")
        try:
            # Seen from the data directory: an absolute path may be too long for a socket.
            lines = (f"user={BACKUP_USER}", f"password={secret}", f"socket={SOCKET}")
            os.write(options, "\n".join(["[mariadb-backup]", *lines, ""]).encode())
            self.server.user.own(options, 0o400)
            yield options
        finally:
            os.close(options)
            self._forget()

    def _forget(self) -> None:
        """Take the account away; the next backup replaces one that is left."""
        try:
            with self.session() as session:
                session.run(f"DROP USER IF EXISTS {session.account(BACKUP_USER, LOCAL)}")
        except CommandFailed as error:
            _log.warning("The account of backups is left behind: %s", error)


class Patience:
    """When the tool is ended: when nobody wants the copy any more (`stop`), or when it has waited
    for locks for too long."""

    def __init__(self, stop: aws.Event, locked_seconds: Callable[[], float]) -> None:
        self._stop, self._locked_seconds = stop, locked_seconds
        self._locked, self._look_at = False, 0.0

    def is_set(self) -> bool:
        if not self._locked and aws.monotonic() >= self._look_at:
            self._look_at = aws.monotonic() + LOOK_SECONDS
            self._locked = self._locked_seconds() >= LOCKED_SECONDS
        return self._locked or self._stop.is_set()

    def require_unlocked(self) -> None:
        if self._locked:
            raise GuestError(
                "a session of the database has held what a backup waits for, as by LOCK TABLES or "
                f"a change of a table, for more than {LOCKED_SECONDS:.0f} s"
            )


def _lsn(parent: StoredBackup) -> str:
    if not parent.position.isdecimal():
        raise GuestError(f"the backup {parent.id} tells no log sequence number to go on from")
    return parent.position


def _reached(notes: Path) -> str:
    """The checkpoint that the copy reaches, as the tool has written it down."""
    found = _TO_LSN.search(_noted(notes, _CHECKPOINTS))
    if found is None:
        raise GuestError("mariadb-backup did not tell up to where the backup goes")
    return found[1]


def _logged(notes: Path) -> tuple[str, str]:
    """The place in the binary log that the copy reaches, and its GTID; none where no log is
    written."""
    found = _LOGGED.search(_noted(notes, _INFO))
    if found is None:
        return "", ""
    return str(Place(int(found[2]), int(found[3]))), binlog.only_gtid(found[4])


def _noted(notes: Path, name: str) -> str:
    """What the tool has written down; nothing where it has not."""
    with suppress(OSError), open_folder(notes) as folder:
        descriptor = open_plain(folder, name, os.O_RDONLY)
        with os.fdopen(descriptor, "rb") as stream:
            return stream.read(_MOST_NOTED).decode(errors="replace")
    return ""
