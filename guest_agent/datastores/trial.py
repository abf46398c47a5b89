"""A backup tried out: restored beside its database, started, looked at, and removed.

    <mount point>/trial/<backup>     each of its chain, as the engine's tool has unpacked it
                        data         made of them; an engine is at work in it, for the agent alone

What is found wrong in it is a verdict. What keeps it from being tried is an error: no room, a store
that is away, a process that somebody kills. Of one that died over it the next start of the agent
removes what is left (`clear`).
"""

from __future__ import annotations

import contextlib
import logging
import os
import shutil
import signal
import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, Final, Generic

from chalicelib import aws
from chalicelib.bus.contract.answers import Verified
from chalicelib.bus.contract.arguments import StoredBackup, VerifyBackup
from guest_agent.backups.beside import Beside
from guest_agent.backups.reader import Reader
from guest_agent.backups.store import Cancelled, Damaged, OpenStore
from guest_agent.datastores import guard, processes
from guest_agent.datastores.copies import Copies, Unsound
from guest_agent.datastores.server import S, Server
from guest_agent.datastores.tool import ToolFailed
from guest_agent.errors import GuestError
from guest_agent.files import own_folder
from guest_agent.manager import Progress

TRIAL_SECONDS: Final = 24 * 3600.0
"""For all of it; the operation that asks ends sooner, and has it stopped."""
NICE: Final = 19
"""The database comes first. The disk's order follows from it: ionice(1), of a process without a
class of its own."""
ENGINE_BYTES: Final = 128 * 1024**2
"""What a second engine writes beside the data: its log, and its temporary tables."""
LOOK_SECONDS: Final = 1.0
_DATA: Final = "data"
ENDED_BY_OTHERS: Final = frozenset({-signal.SIGKILL, -signal.SIGTERM})
"""Of a process: it was no fault of the data, but of an agent, an operator, a want of memory."""
_log = logging.getLogger(__name__)


class Watch:
    """Whether a trial may go on: it is wanted, and the database keeps its room."""

    def __init__(self, server: Server[Any], stop: aws.Event) -> None:
        self._room, self._stop = server.room, stop

    def look(self) -> None:
        """Raises `Cancelled`, and `GuestError` when there is no room any more."""
        if self._stop.is_set():
            raise Cancelled("the verification was cancelled")
        room = self._room.look()
        if room is not None and room.left < room.high:
            raise GuestError("the volume has no room for it any more beside the database")

    def require(self, needed: int) -> None:
        """`GuestError` unless there is room for so many bytes more."""
        room = self._room.look()
        if room is None or room.left - needed < room.high:
            free = 0 if room is None else max(room.left - room.high, 0)
            raise GuestError(
                f"the volume has no room for it beside the database: {needed >> 20} MiB are needed "
                f"and {free >> 20} are free; resize the volume, or restore the backup to an "
                "instance of its own"
            )


class Trial(ABC, Generic[S]):
    """One trial on an engine that has `Copies`."""

    def __init__(self, copies: Copies[S], wanted: VerifyBackup, open_store: OpenStore) -> None:
        self.copies, self.server = copies, copies.server
        self._chain, self._bandwidth, self._open_store = wanted.chain, wanted.bandwidth, open_store
        self._grows: dict[str, int] = {}

    @abstractmethod
    def examine(self, folders: list[Path], watch: Watch, progress: Progress) -> None:
        """Look at all of a chain that lies in these folders, which are changed; `Unsound`."""

    def run(self, stop: aws.Event, progress: Progress) -> Verified:
        """What comes of it; nothing is left when it returns."""
        told = Beside(lambda: self._run(stop, progress), "trial", TRIAL_SECONDS)
        return told.result()

    def _run(self, stop: aws.Event, progress: Progress) -> Verified:
        """In a thread of its own, whose priority all has that it starts."""
        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), NICE)
        watch = Watch(self.server, stop)
        try:
            clear(self.server)
            with _judged(self.server, watch):
                self.examine(self._fetch(stop, watch, progress), watch, progress)
        except (Unsound, Damaged) as error:
            return Verified(sound=False, reason=str(error))
        finally:
            clear(self.server)
        return Verified(sound=True)

    def _fetch(self, stop: aws.Event, watch: Watch, progress: Progress) -> list[Path]:
        store = self._open_store(self._chain[-1].id, stop)
        readers = [Reader(store, each, progress, self._bandwidth) for each in self._chain]
        watch.require(sum(each.manifest.data_size for each in readers) + ENGINE_BYTES)
        self._grows = {
            backup.id: reader.manifest.data_size
            for backup, reader in zip(self._chain[1:], readers[1:], strict=True)
        }
        with own_folder(self.server.layout.trial, 0o755):
            pass
        found = []
        for number, (backup, reader) in enumerate(zip(self._chain, readers, strict=True), 1):
            progress(f"restoring backup {number} of {len(self._chain)}")
            found.append(self._unpacked(backup, reader, watch))
        return found

    def _unpacked(self, backup: StoredBackup, reader: Reader, watch: Watch) -> Path:
        folder = self.server.user.make_folder(self.server.layout.trial / backup.id)
        self.server.user.check_can_reach(folder)
        self.copies.unpack(_watched(reader.chunks(), watch), folder)
        return folder

    def applied(self, folders: list[Path], watch: Watch) -> Path:
        """The chain made a data directory, where `clear` finds who is at work in it. It grows by as
        much as an increment has, at the most, before that goes."""
        data = data_of(self.server)

        def changing(folder: Path) -> None:  # one that is cut short is made anew
            watch.require(self._grows.get(folder.name, 0))

        self.copies.apply(folders, changing).rename(data)
        return data


def data_of(server: Server[Any]) -> Path:
    """Where the second engine has its data."""
    return server.layout.trial / _DATA


def clear(server: Server[Any]) -> None:
    """Remove what there is of a trial, and first end who is at work in it."""
    folder = server.layout.trial
    if not folder.exists():
        return
    processes.kill_all_below(folder, server.user.uid)
    shutil.rmtree(folder, ignore_errors=True)
    if folder.exists():
        raise GuestError("what was tried out could not be removed from the volume")
    _log.info("The trial of a backup is removed.")


def _watched(chunks: Iterable[bytes], watch: Watch) -> Iterator[bytes]:
    looked_at = 0.0
    for chunk in chunks:
        if time.monotonic() - looked_at >= LOOK_SECONDS:
            watch.look()
            looked_at = time.monotonic()
        yield chunk


@contextlib.contextmanager
def _judged(server: Server[Any], watch: Watch) -> Iterator[None]:
    """A tool that has failed by itself, with the room that it needs, has found the data unsound."""
    try:
        yield
    except ToolFailed as error:
        watch.look()
        if guard.is_full(server.room) or error.ended_with in ENDED_BY_OTHERS:
            raise
        raise Unsound(str(error)) from None
