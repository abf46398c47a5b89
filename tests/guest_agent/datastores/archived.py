"""A guest's log, sent piece by piece to an archive in memory, and servers restored from it."""

from __future__ import annotations

import shutil
import zlib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

import pytest

from chalicelib import aws
from guest_agent import birth, datastores
from guest_agent.datastores import data_directory
from guest_agent.datastores.copies import Copied, Copies
from guest_agent.datastores.log import ArchivedPiece, Log, Target
from guest_agent.datastores.logged import LoggedManager
from guest_agent.datastores.state import DatastoreState
from tests.guest_agent.datastores.customer import Guest, guest_on, server_of
from tests.guest_agent.server import VOLUME, Server


class Kept(NamedTuple):
    """A piece in the store."""

    start: str
    end: str
    until_ms: int
    content: bytes
    until_position: str

    def given(self) -> ArchivedPiece:
        """As a restore has it."""
        plain = zlib.decompress(self.content)
        chunks = iter((plain[:7], plain[7:]))
        return ArchivedPiece(self.start, self.end, self.until_ms, chunks, self.until_position)


class Copy(NamedTuple):
    """A copy of the data, and after how many pieces it began."""

    copied: Copied
    content: bytes
    number: int


class Archive:
    """Of one guest, from when it is made. `until_ms` is the moment up to which it goes."""

    def __init__(self, guest: Guest) -> None:
        self.guest = guest
        self.kept: list[Kept] = []
        self.until_ms, self.until_position = 0, ""
        if not self.log.keep():
            guest.manager.call("restart", {}, lambda _: None)
            assert self.log.keep()
        self.position = self.log.begin()

    @property
    def log(self) -> Log[Any]:
        """As the agent that runs now has it."""
        found = manager_of(self.guest).log()
        assert found is not None
        return found

    def send(self) -> int:
        """Have all that is there sent, and the log released; how many pieces that were."""
        before, began_ms = len(self.kept), int(aws.clock() * 1000)
        for piece in self.log.since(self.position):
            assert piece.start == self.position
            content = zlib.compress(b"".join(piece.chunks()), 1)
            told = piece.until_position
            self.kept.append(Kept(piece.start, piece.end, piece.until_ms, content, told))
            self.position = piece.end
            self.until_ms = max(self.until_ms, piece.until_ms)
            self.until_position = piece.until_position or self.until_position
        self.until_ms = max(self.until_ms, began_ms)
        self.log.release(self.position)
        return len(self.kept) - before

    def copy(self) -> Copy:
        """A full copy of the data."""
        number, chunks = len(self.kept), list[bytes]()
        copied = copies_of(self.guest).copy(chunks.extend, None, aws.event())
        return Copy(copied, b"".join(chunks), number)

    @contextmanager
    def restored(
        self, copy: Copy, target_ms: int, patch: pytest.MonkeyPatch, position: str = ""
    ) -> Iterator[Guest]:
        """A server of its own with what was committed up to then, or is in the log up to there."""
        with server_of(self.guest.engine) as server:
            patch.setenv("COFFER_SERVER_ID", server.id)
            target = Target(target_ms, position)
            restore(server, copy, (kept.given() for kept in self.kept[copy.number :]), target)
            with guest_on(self.guest.engine, server, Restored) as guest:
                yield guest


class Restored(Guest):
    """Of a server whose data directory is there already: there is nothing to make in it."""

    def begin(self) -> None:
        return None


def manager_of(guest: Guest) -> LoggedManager[Any]:
    assert isinstance(guest.manager, LoggedManager)
    return guest.manager


def copies_of(guest: Guest) -> Copies[Any]:
    return manager_of(guest)._copies()


def restore(server: Server, copy: Copy, pieces: Iterable[ArchivedPiece], target: Target) -> None:
    """Make a copy and pieces the data of a server that has none."""
    manager = datastores.manager(birth.load(server.root))
    assert isinstance(manager, LoggedManager)
    life = manager._life
    with life.before_prepared(DatastoreState(volume_id=VOLUME, mount_point="/var/lib/mysql")):
        life.attach_volume()
        copies = manager._copies()
        layout, user = copies.server.layout, copies.server.user
        layout.restored.mkdir(mode=0o755)
        folder = user.make_folder(layout.restored / "copy")
        copies.unpack([copy.content], folder)
        data = copies.apply([folder], lambda _: None)
        copies.replay(data, copy.copied.log_position, iter(pieces), target)
        data_directory.place(data, layout.data)
        shutil.rmtree(layout.restored)
