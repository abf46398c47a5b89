"""Copies of a Redis: an RDB that it writes from a child of its own, and who is let in.

It answers its customers while the child writes. A restored one begins with an append-only file
whose base is the RDB: with `appendonly` it would not look for anything else.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Final

from chalicelib import aws
from chalicelib.bus.contract.arguments import StoredBackup
from guest_agent.backups.store import Cancelled
from guest_agent.datastores import archive, copies
from guest_agent.datastores.copies import Changing, Copied, Write
from guest_agent.datastores.redis import counters
from guest_agent.datastores.redis.layout import ACL_FILE
from guest_agent.datastores.redis.resp import Session
from guest_agent.datastores.session import NotListening
from guest_agent.errors import GuestError, NotSupported, Unavailable
from guest_agent.files import open_folder, open_plain, write_whole

DUMP: Final = "dump.rdb"
SAVE_SECONDS: Final = 3600.0
"""For an RDB to be written, and for one that is being written already."""
BUSY_SECONDS: Final = 60.0
"""So long a server that answers nothing of use is asked again: one script of a customer's does not
cost what may have been written for most of an hour."""
LOOK_SECONDS: Final = 0.25
_APPENDED: Final = "appendonlydir"
_BASE: Final = "appendonly.aof.1.base.rdb"
_MANIFEST: Final = "appendonly.aof.manifest"


class RedisCopies(copies.Copies[Session]):
    """All of it each time: Redis tells no change from another."""

    def copy(self, write: Write, parent: StoredBackup | None, stop: aws.Event) -> Copied:
        if parent is not None:
            raise NotSupported("Redis has full backups only")
        with suppress(FileNotFoundError):  # as large, about, and beside the former one
            copies.require_room(self.server, (self.server.layout.data / DUMP).stat().st_size)
        self._save(stop)
        write(self._files())
        return Copied()

    def unpack(self, chunks: Iterable[bytes], folder: Path) -> None:
        archive.unpack(chunks, folder, self.server.user)

    def apply(self, folders: list[Path], changing: Changing) -> Path:
        """What one that was cut short has moved is there already."""
        folder, user = folders[-1], self.server.user
        appended = user.make_folder(folder / _APPENDED)
        if not (appended / _BASE).exists():
            (folder / DUMP).rename(appended / _BASE)
        write_whole(appended / _MANIFEST, f"file {_BASE} seq 1 type b\n".encode())
        with open_folder(appended) as opened:
            descriptor = open_plain(opened, _MANIFEST, os.O_RDONLY)
            try:
                user.own(descriptor, 0o600)
            finally:
                os.close(descriptor)
        return folder

    def _files(self) -> Iterator[bytes]:
        data = self.server.layout.data
        yield from archive.of_file(data, ACL_FILE, ACL_FILE)
        yield from archive.of_file(data, DUMP, DUMP)
        yield archive.end()

    def _save(self, stop: aws.Event) -> None:
        """Have an RDB that was begun after now, and is whole."""
        until, before = aws.monotonic() + SAVE_SECONDS, dict[str, str]()
        _wait_while(lambda: not self._begin(before), stop, until)
        _wait_while(lambda: self._is_saving(before), stop, until)

    def _begin(self, before: dict[str, str]) -> bool:
        """Have it begun, unless another one is being written; `before` is what was told then."""
        before.update(self._told())
        if self._is_at_one(before):
            return False
        with self.session() as session:
            try:
                session.ask("BGSAVE", "SCHEDULE")
            except GuestError:
                if self._is_at_one(self._told()):  # which has begun in between
                    return False
                raise
        return True

    @staticmethod
    def _is_at_one(told: dict[str, str]) -> bool:
        return told["rdb_bgsave_in_progress"] != "0"

    def _is_saving(self, before: dict[str, str]) -> bool:
        """Whether one that was begun since has not ended; `rdb_saves` counts their beginnings, and
        begins with the server."""
        told = self._told()
        if told["run_id"] != before["run_id"]:
            raise GuestError("the database was started again before its RDB was written")
        if told["rdb_saves"] == before["rdb_saves"] or self._is_at_one(told):
            return True
        if told["rdb_last_bgsave_status"] != "ok":
            raise GuestError("the database could not write its RDB; its log says why")
        return False

    def _told(self) -> dict[str, str]:
        with self.session() as session:
            return counters.info(session, "server", "persistence")


def _wait_while(condition: Callable[[], bool], stop: aws.Event, until: float) -> None:
    """Until it is no more. A server that a script keeps busy is asked again for a while."""
    answered = aws.monotonic()
    while True:
        try:
            if not condition():
                return
            answered = aws.monotonic()
        except NotListening:
            raise  # it has ended
        except Unavailable:
            if aws.monotonic() >= answered + BUSY_SECONDS:
                raise
        if aws.monotonic() >= until:
            raise GuestError(f"the database did not write its RDB within {SAVE_SECONDS:.0f} s")
        if aws.wait(stop, LOOK_SECONDS):
            raise Cancelled("the backup was cancelled")
