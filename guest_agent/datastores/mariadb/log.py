"""MariaDB's binary log for an archive: switched on by a layer of its own, read as bytes.

A piece is a run of bytes of one file, up to where the log is durable. One from within a file has
the file's head before it, so that it can be read without the pieces before. What has been sent is
purged by whole files, which are small for that.
"""

from __future__ import annotations

import logging
import os
import shutil
from collections.abc import Iterator
from contextlib import suppress
from functools import partial
from typing import Final

from chalicelib import aws
from guest_agent.datastores import log
from guest_agent.datastores.layers import HEAD
from guest_agent.datastores.log import LogLost, Piece
from guest_agent.datastores.mariadb import binlog
from guest_agent.datastores.mariadb.binlog import MARK_BYTES, Place
from guest_agent.datastores.mariadb.layout import Layout
from guest_agent.datastores.mariadb.sql import Session
from guest_agent.datastores.os_user import OsUser
from guest_agent.errors import GuestError
from guest_agent.files import open_folder, open_plain, sync_directory, write_changed

PIECE_BYTES: Final = 16 * 1024**2
CHUNK_BYTES: Final = 1024**2
FILE_BYTES: Final = 64 * 1024**2
"""When the server begins another file: what is kept beyond what waits to be sent."""
UNWANTED_SECONDS: Final = 60
"""How long a server that has not been started again keeps a log that nobody wants any more."""
_HEAD_BYTES: Final = 4096
_LAYER: Final = f"""\
{HEAD}[mariadbd]
# Seen from the data directory: the index holds what is written here, and a volume may be mounted
# elsewhere tomorrow.
log_bin                         = "../{{folder}}/{binlog.BASE}"
# Rows, not statements: what a statement does may depend on more than the log knows.
binlog_format                   = ROW
binlog_row_image                = FULL
binlog_checksum                 = CRC32
sync_binlog                     = 1
max_binlog_size                 = {FILE_BYTES}
binlog_expire_logs_seconds      = 0
# Whoever may make a function or a trigger may do so with a log, too: rows tell what it did.
log_bin_trust_function_creators = ON
"""
_WANTED: Final = "wanted"
"""A file among those of the log; whoever has the volume keeps it."""
_OFF: Final = "the database was started without its binary log"
_GONE: Final = "a file of the binary log is not there any more"
_log = logging.getLogger(__name__)


class MariaDBLog(log.Log[Session]):
    """A server has its log on, or not, from its start to its end."""

    @property
    def layout(self) -> Layout:
        layout = self.server.layout
        assert isinstance(layout, Layout)
        return layout

    def keep(self) -> bool:
        _switch_on(self.layout)
        with self.session() as session:
            if not _is_on(session):
                return False
            _expire(session, 0)
        _want(self.layout)
        return True

    def forget(self) -> None:
        for path in (self.layout.binary_logs / _WANTED, self.layout.log_layer):
            with suppress(FileNotFoundError):
                path.unlink()
                sync_directory(path.parent)
        with self.session() as session:
            if not _is_on(session):
                shutil.rmtree(self.layout.binary_logs, ignore_errors=True)
                return
            # It goes on to write one until it is started again, and removes it itself.
            _expire(session, UNWANTED_SECONDS)
            _purge(session, _begin_file(session))

    def begin(self) -> str:
        with self.session() as session:
            return str(_begin_file(session))

    def since(self, position: str) -> Iterator[Piece]:
        begin, until_ms = Place.of(position), int(aws.clock() * 1000)
        with self.session() as session:
            reached = _reached(session)
            if reached.offset > PIECE_BYTES and self.server.refuses_writes(session):
                # A file goes as a whole, and nothing else ends it while nothing is written.
                _begin_file(session)
                reached = _reached(session)
            gtid = _gtid_at(session, reached)
        if (reached.file, reached.offset) < (begin.file, begin.offset):
            raise LogLost("the binary log was begun anew")
        if begin.mark and self._mark(begin.file, begin.offset) != begin.mark:
            raise LogLost("the binary log was begun anew")
        for number in range(begin.file, reached.file + 1):
            first = begin.offset if number == begin.file else 0
            last = reached.offset if number == reached.file else self._size(number)
            while first < last:
                end = self._place(number, min(first + PIECE_BYTES, last))
                told = (until_ms, gtid) if (number, end.offset) == reached[:2] else (0, "")
                yield Piece(
                    str(begin), str(end), told[0], partial(self._chunks, first, end), told[1]
                )
                begin, first = end, end.offset

    def release(self, position: str) -> None:
        with self.session() as session:
            _purge(session, Place.of(position))

    def waiting(self, position: str) -> int:
        begin = Place.of(position)
        files = [number for number in self._files() if number >= begin.file]
        sizes = sum(self._size(number) for number in files)
        return max(sizes - (begin.offset if begin.file in files else 0), 0)

    def _chunks(self, first: int, end: Place) -> Iterator[bytes]:
        """The bytes of a file from an offset to a place, with its head if that is before them."""
        with os.fdopen(self._open(end.file), "rb", buffering=0) as stream:
            if first:
                start = stream.read(_HEAD_BYTES)
                yield start[: binlog.head_size(start)]
                stream.seek(first)
            left, last = end.offset - first, b""
            while left:
                chunk = stream.read(min(left, CHUNK_BYTES))
                if not chunk:
                    raise LogLost("a file of the binary log has become shorter")
                left -= len(chunk)
                last = (last + chunk)[-MARK_BYTES:]
                yield chunk
        if last.hex() != end.mark:
            raise LogLost("the binary log was begun anew")

    def _place(self, number: int, offset: int) -> Place:
        return Place(number, offset, self._mark(number, offset))

    def _mark(self, number: int, offset: int) -> str:
        """The bytes before an offset; fewer where there are not so many."""
        descriptor = self._open(number)
        try:
            before = max(offset - MARK_BYTES, 0)
            return os.pread(descriptor, offset - before, before).hex()
        finally:
            os.close(descriptor)

    def _size(self, number: int) -> int:
        descriptor = self._open(number)
        try:
            return os.fstat(descriptor).st_size
        finally:
            os.close(descriptor)

    def _open(self, number: int) -> int:
        try:
            with open_folder(self.layout.binary_logs) as folder:
                return open_plain(folder, binlog.name_of(number), os.O_RDONLY)
        except (OSError, GuestError):
            raise LogLost(_GONE) from None

    def _files(self) -> list[int]:
        """The numbers of those that are there, in their order."""
        try:
            with open_folder(self.layout.binary_logs) as folder:
                # By the descriptor: a path could lead elsewhere by now.
                found = map(binlog.FILE.fullmatch, os.listdir(folder))  # noqa: PTH208
                return sorted(int(each[1]) for each in found if each)
        except GuestError:
            return []


def make_ready(layout: Layout, user: OsUser) -> None:
    """Before a start: the folder is there, and its index names nothing that is not.

    A volume that was kept a log on goes on with it, before anybody tells a rebuilt server that it
    is wanted. A server whose index names a file that somebody has removed does not start.
    """
    if (layout.binary_logs / _WANTED).exists():
        _switch_on(layout)
    if not layout.log_layer.exists():
        return
    user.make_folder(layout.binary_logs)
    user.take_over(layout.binary_logs)
    _want(layout)
    with open_folder(layout.binary_logs) as folder, suppress(FileNotFoundError):
        descriptor = open_plain(folder, f"{binlog.BASE}.index", os.O_RDWR)
        with os.fdopen(descriptor, "r+b") as stream:
            named = stream.read().splitlines(keepends=True)
            there = set(os.listdir(folder))  # noqa: PTH208
            kept = [line for line in named if os.fsdecode(line).strip().split("/")[-1] in there]
            if kept != named:
                _log.warning("The index of the binary log named files that are not there.")
                stream.seek(0)
                stream.writelines(kept)
                stream.truncate()


def _switch_on(layout: Layout) -> None:
    """Let the next start find that the log is wanted."""
    text = _LAYER.format(folder=layout.binary_logs.name)
    write_changed({layout.log_layer: text}, mode=0o644)


def _want(layout: Layout) -> None:
    """Let the next start of whatever server has the volume find it."""
    with open_folder(layout.binary_logs) as folder:
        os.close(open_plain(folder, _WANTED, os.O_WRONLY | os.O_CREAT))
        os.fsync(folder)


def _is_on(session: Session) -> bool:
    ((on,),) = session.rows("SELECT @@GLOBAL.log_bin")
    return bool(on)


def _reached(session: Session) -> Place:
    """Up to where the log is written, and durable: whole transactions."""
    found = session.shown("SHOW MASTER STATUS")
    if not found:
        raise LogLost(_OFF)
    return Place.of(f"{found[0]['File']}:{found[0]['Position']}")


def _gtid_at(session: Session, place: Place) -> str:
    """Of the last transaction before a place where a transaction ends."""
    name = session.literal(place.name)
    ((state,),) = session.rows(f"SELECT BINLOG_GTID_POS({name}, {place.offset})")
    return binlog.only_gtid(state)


def _begin_file(session: Session) -> Place:
    """Let the server write to another file; its beginning."""
    if not _is_on(session):
        raise LogLost(_OFF)
    session.run("FLUSH BINARY LOGS")
    return Place(_reached(session).file, 0)


def _purge(session: Session, place: Place) -> None:
    session.run(f"PURGE BINARY LOGS TO {session.literal(place.name)}")


def _expire(session: Session, seconds: int) -> None:
    session.run(f"SET GLOBAL binlog_expire_logs_seconds = {seconds}")
