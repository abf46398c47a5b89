"""Backups of a simulated database: pages of its volume, by the guest's own writer and reader.

A full one has all pages. An increment has those that were written behind its parent's position, and
says where that is: a chain with a gap is not applied.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Final

import msgspec

from chalicelib import aws
from chalicelib.bus.contract import answers, arguments
from chalicelib.bus.contract.arguments import StoredBackup
from chalicelib.domain.backups import GIB
from guest_agent.backups import replaying
from guest_agent.backups.archiver import log_behind
from guest_agent.backups.imported import ImportedStore, ImportReader
from guest_agent.backups.reader import Reader
from guest_agent.backups.store import Damaged, OpenStore, Store
from guest_agent.backups.writer import Writer
from guest_agent.datastores.copies import Unsound
from guest_agent.datastores.log import ArchivedPiece, Sent, Target
from guest_agent.errors import NotSupported
from guest_agent.manager import ListPieces, Progress, WithBackups
from simulator.fleet.datastore import (
    BASE_GIB,
    NOTHING,
    ROWS_A_GIB,
    Contents,
    Database,
    Page,
    User,
    Volume,
)
from simulator.fleet.machine import DATA_FOLDER, OnMachine

COPY_SECONDS: Final = (0.5, 10.0)
FETCH_SECONDS: Final = (0.2, 5.0)
APPLY_SECONDS: Final = (0.5, 10.0)
INCREMENT_GIB: Final = 0.02
"""What each increment has beside its rows: what a database writes for itself."""


class Written(msgspec.Struct, frozen=True):
    """A page as it is at the end of the copy; without `content` it was removed.

    A database tells its character set and its collation, a row its value, a user a password and
    grants, root a password.
    """

    page: Page
    position: int
    content: list[str] | None = None


class Copy(msgspec.Struct, frozen=True):
    """What one backup holds, from behind a position of the log (`None`: all) to another one."""

    after: int | None
    position: int
    pages: list[Written]


class WithSimBackups(OnMachine, WithBackups):
    """The part of the guest contract about backups."""

    open_store: OpenStore | None
    list_pieces: ListPieces | None
    log_place: Callable[[], Sent | None] | None
    _being_made: tuple[str, aws.Event] | None = None

    def create_backup(
        self, request: arguments.CreateBackup, progress: Progress
    ) -> answers.BackedUp:
        stop = aws.event()
        self._being_made = (request.id, stop)
        after = int(request.parent.position) if request.parent else None
        store = self._opener()(request.id, stop)
        writer = Writer(store, request.id, request.location, progress, request.bandwidth, stop)
        progress("copying the data")
        copied: list[Copy] = []
        before = self._place()
        writer.write(self._copying(after, copied))
        position = str(copied[0].position)
        made = writer.finish(engine_version=self._machine.engine.number, position=position)
        place = self.place_of(copied[0].position)
        size = int(gib_of(copied[0]) * GIB)
        log = log_behind(before, self._place(), position, place)
        return msgspec.structs.replace(made, data_size=size, log=log)

    def _place(self) -> Sent | None:
        return self.log_place() if self.log_place is not None else None

    def cancel_backup(self, request: arguments.CancelBackup) -> answers.Done:
        if self._being_made is not None and self._being_made[0] == request.id:
            self._being_made[1].set()
        return answers.Done()

    def fetch_backup(self, request: arguments.FetchBackup, progress: Progress) -> answers.Done:
        volume = self._formatted()
        if not volume.formatted:
            store = self._opener()(request.chain[-1].id, aws.event())
            for backup in request.chain:
                if backup.id not in volume.fetched:
                    self._step(FETCH_SECONDS)
                    content = b"".join(_chunks(store, backup, progress))
                    self._check_space()
                    self._require_room(content)
                    self._put_beside(backup.id, content)
        return answers.Done()

    def apply_backup(self, request: arguments.ApplyBackup, progress: Progress) -> answers.Applied:
        self.fetch_backup(request, progress)
        volume = self._formatted()
        if not volume.formatted:
            progress("applying the backups")
            contents = made_of(request.chain, volume.fetched)
            if request.chain[-1].imported is not None:
                contents = adopted(contents)
            if request.log is not None:
                contents = self._replayed(request, request.log, contents, progress)
            self._step(APPLY_SECONDS)
            self._check_space()
            self._perform("apply", lambda: volume.restore(contents))
        volume.fetched = {}
        return replaying.applied(request.log)

    def _replayed(
        self,
        request: arguments.ApplyBackup,
        log: arguments.LogToReplay,
        contents: Contents,
        progress: Progress,
    ) -> Contents:
        if self.list_pieces is None:
            raise NotSupported("this guest agent lists no logs")
        stop = aws.event()
        store = self._opener()(request.chain[-1].id, stop)
        chosen = replaying.wanted(log, self.list_pieces, stop)
        pieces = replaying.told(len(chosen), replaying.replayed(log, store, chosen), progress)
        target = Target(log.target_ms, log.target_position)
        return self.replay(contents, log.position, pieces, target)

    def replay(
        self, contents: Contents, since: str, pieces: Iterator[ArchivedPiece], target: Target
    ) -> Contents:
        """What an engine makes of a copy and the log behind it."""
        raise NotSupported("this engine keeps no log to replay")

    def place_of(self, position: int) -> str:
        """A position of the log as customers name it; nothing of an engine that keeps none."""
        return ""

    def verify_backup(
        self, request: arguments.VerifyBackup, progress: Progress
    ) -> answers.Verified:
        """As the real ones do it: beside the data, and nothing of it stays."""
        self._read()
        clear_trial(self._formatted())
        try:
            self._try(request, progress)
        except (Damaged, Unsound) as error:
            return answers.Verified(sound=False, reason=str(error))
        finally:
            self._machine.here(self._life)  # one that has died removes nothing
            clear_trial(self._formatted())
        return answers.Verified(sound=True)

    def _try(self, request: arguments.VerifyBackup, progress: Progress) -> None:
        wanted, stop = request.chain[-1].id, aws.event()
        self._being_made = (wanted, stop)
        store = self._opener()(wanted, stop)
        for backup in request.chain:
            self._step(FETCH_SECONDS)
            reader = Reader(store, backup, progress, request.bandwidth)
            content = b"".join(reader.chunks())
            self._check_space()
            self._put_aside(backup.id, content)
        progress("reading all of it")
        self._step(APPLY_SECONDS)
        made_of(request.chain, self._formatted().trial)

    def _put_aside(self, backup_id: str, content: bytes) -> None:
        volume = self._formatted()

        def put() -> None:
            volume.trial = {**volume.trial, backup_id: content}

        self._perform("put aside", put)

    def _copying(self, after: int | None, copied: list[Copy]) -> Iterator[bytes]:
        """The copy, of the moment at which it ends; the database may die meanwhile."""
        self._read()
        self._step(COPY_SECONDS)
        self._check_space()  # for what the tool keeps of the log meanwhile
        copied.append(copy_of(self._contents(), after))
        yield msgspec.json.encode(copied[0])

    def _require_room(self, content: bytes) -> None:
        """A chain lies side by side until it is applied."""
        volume = self._formatted()
        beside = [*volume.fetched.values(), content]
        if sum(gib_of(msgspec.json.decode(each, type=Copy)) for each in beside) > volume.size_gib:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), DATA_FOLDER)

    def _put_beside(self, backup_id: str, content: bytes) -> None:
        volume = self._formatted()

        def put() -> None:
            volume.fetched = {**volume.fetched, backup_id: content}

        self._perform("fetched", put)

    def _opener(self) -> OpenStore:
        if self.open_store is None:
            raise NotSupported("this guest agent reaches no object store")
        return self.open_store


def _chunks(store: Store, backup: StoredBackup, progress: Progress) -> Iterator[bytes]:
    if backup.imported is None:
        return Reader(store, backup, progress).chunks()
    assert isinstance(store, ImportedStore), "what is lent for it is what was imported"
    return ImportReader(store, backup.imported, progress, None).chunks()


def adopted(contents: Contents) -> Contents:
    """What somebody else's server has had, without its administrators."""
    for name, host in contents.users:
        if name == "os_admin":
            contents = contents.without_user((name, host))
    return contents.with_root(None)


def clear_trial(volume: Volume) -> None:
    """Remove what there is of a backup that was tried out."""
    volume.trial = {}


def gib_of(copy: Copy) -> float:
    """How much of a volume it takes."""
    rows = sum(each.page[0] == "row" for each in copy.pages) / ROWS_A_GIB
    return rows + (BASE_GIB if copy.after is None else INCREMENT_GIB)


def copy_of(contents: Contents, after: int | None) -> Copy:
    """What was written behind a position, or all that there is."""
    first = 0 if after is None else after + 1
    pages = [
        Written(page, position, _content(contents, page))
        for page, position in contents.written.items()
        if position >= first
    ]
    if after is None:
        pages = [each for each in pages if each.content is not None]
    pages.sort(key=lambda each: each.position)
    return Copy(after, contents.log_position, pages)


def made_of(chain: Iterable[StoredBackup], fetched: Mapping[str, bytes]) -> Contents:
    """The contents at the end of a chain; `Unsound` where it has a gap."""
    contents, position = NOTHING, None
    for backup in chain:
        copy = msgspec.json.decode(fetched[backup.id], type=Copy)
        if copy.after != position:
            raise Unsound(f"the backup {backup.id} does not go on where the one before it ends")
        position = copy.position
        for each in copy.pages:
            contents = with_page(contents, each)
        contents = msgspec.structs.replace(contents, log_position=position)
    return contents


def _content(contents: Contents, page: Page) -> list[str] | None:
    kind, *name = page
    match kind:
        case "database":
            database = contents.databases.get(name[0])
            return [database.character_set, database.collate] if database else None
        case "row":
            rows = contents.databases[name[0]].rows if name[0] in contents.databases else {}
            return [rows[name[1]]] if name[1] in rows else None
        case "user":
            user = contents.users.get((name[0], name[1]))
            return [user.password, *sorted(user.grants)] if user else None
        case _:
            return [contents.root_password] if contents.root_password is not None else None


def with_page(contents: Contents, written: Written) -> Contents:
    """With a page as it was written."""
    (kind, *name), content = written.page, written.content
    contents = msgspec.structs.replace(contents, log_position=written.position - 1)
    match kind:
        case "database" if content is not None:
            return contents.with_database(name[0], Database(content[0], content[1]))
        case "database":
            return contents.without_database(name[0])
        case "row" if content is not None:
            return contents.with_row(name[0], name[1], content[0])
        case "row":
            return contents  # it went with its database
        case "user" if content is not None:
            user = User(content[0], frozenset(content[1:]))
            return contents.with_user((name[0], name[1]), user)
        case "user":
            return contents.without_user((name[0], name[1]))
        case _:
            return contents.with_root(content[0] if content else None)
