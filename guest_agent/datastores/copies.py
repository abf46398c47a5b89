"""An engine's data as copies: how one is made while the database runs, and how it becomes data.

    <mount point>/restored/<backup>.part     being fetched
                           <backup>          as the engine's tool has unpacked it, whole
                           <backup>.changed  that one is being changed
    <mount point>/data                       made of them, renamed in one step

A copy that a tool was changing when the agent died is fetched again: it cannot tell how far it was.
The others stay, and so does what is only moved, step by step.
"""

from __future__ import annotations

import errno
import shutil
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final, Generic, NamedTuple

from chalicelib import aws
from chalicelib.bus.contract.arguments import LogToReplay, StoredBackup
from guest_agent.backups import replaying
from guest_agent.backups.imported import ImportedStore, ImportReader
from guest_agent.backups.reader import Reader
from guest_agent.backups.store import OpenStore, Store
from guest_agent.datastores import data_directory, guard, processes
from guest_agent.datastores.log import ArchivedPiece, Target
from guest_agent.datastores.server import S, Server
from guest_agent.datastores.session import OpenSession
from guest_agent.errors import GuestError, NotSupported
from guest_agent.files import own_folder, sync_directory, write_whole
from guest_agent.manager import ListPieces, Progress

PART: Final = ".part"
CHANGED: Final = ".changed"
Write = Callable[[Iterable[bytes]], None]
Changing = Callable[[Path], None]
"""Told of a copy before something changes it of which nobody could tell how far that was; before
its log is replayed, too."""


class Copied(NamedTuple):
    """Up to where a copy goes: for the next increment, and for the log (`log`) that goes on behind
    it, in the engine's words and in its customers', "" where none is kept."""

    position: str = ""
    log_position: str = ""
    reached_position: str = ""


class Unsound(GuestError):
    """What was fetched, as it was written, is nothing that an engine could go on with."""


class Chunks(NamedTuple):
    """What was written of a backup: how many bytes that are, 0 where nobody has said, and they."""

    size: int
    read: Callable[[], Iterator[bytes]]


def require_room(server: Server[Any], needed: int = 0) -> None:
    """Refuse to begin with a copy, which needs so many bytes on the volume, before it takes from
    the database what that is about to run out of."""
    room = server.room.look()
    if room is not None and room.left - needed < room.low:
        raise GuestError(
            f"{guard.FULL}: a backup needs {(needed + room.low) >> 20} MiB of it, and "
            f"{max(room.left, 0) >> 20} are free"
        )


@contextmanager
def room_told(server: Server[Any]) -> Iterator[None]:
    """Say so when it fails on a full volume, of which a tool may only say that it cannot write."""
    try:
        yield
    except GuestError as error:
        if guard.is_full(server.room):
            raise GuestError(f"{guard.FULL}: {error}") from None
        raise
    except OSError as error:  # what the agent writes itself, as the log that is replayed
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise GuestError(f"{guard.FULL}: {error.strerror}") from None
        raise


class Copies(ABC, Generic[S]):
    """What an engine does of it; `server` is the one whose data it is."""

    def __init__(self, server: Server[S], session: OpenSession[S]) -> None:
        self.server, self.session = server, session

    @abstractmethod
    def copy(self, write: Write, parent: StoredBackup | None, stop: aws.Event) -> Copied:
        """Give all data to `write`, or what came after the parent; up to where it reaches.

        The database goes on meanwhile. Nothing runs any more when it returns, whatever comes of it.
        """

    def completed(self, position: str, parent: StoredBackup | None) -> None:
        """The copy up to there lies in the store, whole."""
        return

    @abstractmethod
    def unpack(self, chunks: Iterable[bytes], folder: Path) -> None:
        """Make files of what was copied, in a folder that is there, empty, and the database's."""

    @abstractmethod
    def apply(self, folders: list[Path], changing: Changing) -> Path:
        """Make a data directory of a chain, in its order; the folder that it is then.

        It is done again over what one that was cut short has left, but for the copies that
        `changing` was told of.
        """

    def require_own(self, copy: Path) -> None:
        """Refuse a copy that was imported, as the tool has written it, of another engine."""
        raise NotSupported(f"{self.server.ENGINE.name} takes in no backups of others")

    def adopt(self, data: Path, progress: Progress) -> Path:
        """Have data that were imported, applied, and not yet given their place, hold no accounts
        but the customer's, with no more rights than a customer may have; the folder that they are
        in then, beside `data` if it is another one.

        It may die at any point: the copy is fetched again then.
        """
        raise NotSupported(f"{self.server.ENGINE.name} takes in no backups of others")

    def replay(
        self, data: Path, since: str, pieces: Iterator[ArchivedPiece], target: Target
    ) -> None:
        """Bring data that was applied, and not yet given its place, to a moment or a position.

        `since` is the copy's `log_position`: inside the first piece, at its start, or at its end.
        What was committed up to the target's moment is in the data then, that moment included, and
        nothing else, as exactly as the log has times: of the last piece MariaDB's are the seconds
        at which statements began. It may die at any point: data and pieces then come anew. All
        pieces are read up to a moment; up to a position those that reach it, and `GuestError` is
        raised where none does.
        """
        raise NotSupported(f"{self.server.ENGINE.name} keeps no log to replay")


class Restore(Generic[S]):
    """A chain on its way to be the data directory of a server that has none."""

    def __init__(self, copies: Copies[S], chain: list[StoredBackup], open_store: OpenStore) -> None:
        self._copies, self._chain, self._open_store = copies, chain, open_store
        self._layout = copies.server.layout

    def fetch(self, progress: Progress) -> None:
        """Have all of it in folders; what is there whole stays, unless it has been changed."""
        if not self._layout.data.exists():
            with room_told(self._copies.server):
                self._fetch_all(progress)

    def _fetch_all(self, progress: Progress) -> None:
        folder = self._layout.restored
        with own_folder(folder, 0o755):
            pass
        wanted = {backup.id for backup in self._chain}
        # The tools of an agent that died end with it; what those have started a moment later.
        processes.kill_all_below(folder, self._copies.server.user.uid)
        for left in [each for each in folder.iterdir() if each.is_dir()]:
            if left.name not in wanted or _changed(left).exists():
                shutil.rmtree(left)
        sync_directory(folder)
        for mark in folder.glob(f"*{CHANGED}"):
            mark.unlink()
        store = self._open_store(self._chain[-1].id, aws.event())
        count, opened = len(self._chain), dict[str, Chunks]()
        for number, backup in enumerate(self._chain, 1):
            if not (folder / backup.id).exists():
                told = _of(f"backup {number} of {count}", progress)
                opened[backup.id] = self._opened(store, backup, told)
        self._require_room(sum(each.size for each in opened.values()))
        for backup in self._chain:
            if (chunks := opened.pop(backup.id, None)) is not None:
                self._fetch(backup, chunks.read())

    def apply(
        self,
        progress: Progress,
        log: LogToReplay | None = None,
        list_pieces: ListPieces | None = None,
    ) -> None:
        """Make it the data directory, with the log that goes on behind it up to a moment; of
        what is whole of one that was cut short before."""
        layout = self._layout
        if not layout.data.exists():
            self.fetch(progress)
            progress("applying the backups")
            with room_told(self._copies.server):
                folders = [layout.restored / backup.id for backup in self._chain]
                applied = self._copies.apply(folders, lambda each: write_whole(_changed(each), b""))
                if self._chain[-1].imported is not None:
                    write_whole(_changed(applied), b"")
                    applied = self._copies.adopt(applied, progress)
                if log is not None:
                    for each in folders:  # the log needs their room
                        if each != applied:
                            shutil.rmtree(each, ignore_errors=True)
                    self._replay(applied, log, list_pieces, progress)
                data_directory.place(applied, layout.data)
        shutil.rmtree(layout.restored, ignore_errors=True)
        sync_directory(layout.volume)

    def _replay(
        self, data: Path, log: LogToReplay, list_pieces: ListPieces | None, progress: Progress
    ) -> None:
        if list_pieces is None:
            raise NotSupported("this guest agent lists no logs")
        stop = aws.event()
        store = self._open_store(self._chain[-1].id, stop)
        chosen = replaying.wanted(log, list_pieces, stop)
        write_whole(_changed(data), b"")
        pieces = replaying.told(len(chosen), replaying.replayed(log, store, chosen), progress)
        target = Target(log.target_ms, log.target_position)
        self._copies.replay(data, log.position, pieces, target)

    def _fetch(self, backup: StoredBackup, chunks: Iterator[bytes]) -> None:
        user, copies = self._copies.server.user, self._copies
        part = self._layout.restored / f"{backup.id}{PART}"
        user.make_folder(part)
        user.check_can_reach(part)
        copies.unpack(chunks, part)
        if backup.imported is not None:
            copies.require_own(part)
        data_directory.place(part, self._layout.restored / backup.id)

    def _opened(self, store: Store, backup: StoredBackup, progress: Progress) -> Chunks:
        if backup.imported is None:
            reader = Reader(store, backup, progress)
            return Chunks(reader.manifest.data_size, reader.chunks)
        if not isinstance(store, ImportedStore):
            raise GuestError(f"what is lent for the backup {backup.id} is not what was imported")
        room = self._copies.server.room.look()
        most = max(room.left - room.low, 0) if room is not None else None
        return Chunks(0, ImportReader(store, backup.imported, progress, most).chunks)

    def _require_room(self, needed: int) -> None:
        """All of a chain lies side by side, before any of it is fetched; no more than that is
        unpacked (`Reader`)."""
        room = self._copies.server.room.look()
        if room is not None and needed > room.free:
            raise GuestError(
                f"{guard.FULL}: the backup {self._chain[-1].id}, with what it builds on, needs "
                f"{needed >> 20} MiB, and "
                f"{room.free >> 20} are free"
            )


def _changed(copy: Path) -> Path:
    """The mark of a copy that is being changed."""
    return copy.with_name(copy.name + CHANGED)


def _of(part: str, progress: Progress) -> Progress:
    """Progress in one part of the work."""
    return lambda said: progress(f"{part}: {said}")
