"""Backups of a simulated database: what is on its volume, by the guest's own writer and reader.

An increment says where it begins and all that there is then; a chain with a gap is not applied.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final

import msgspec

from chalicelib import aws
from chalicelib.bus.contract import answers, arguments
from chalicelib.bus.contract.arguments import StoredBackup
from guest_agent.backups.reader import Reader
from guest_agent.backups.store import OpenStore
from guest_agent.backups.writer import Writer
from guest_agent.errors import GuestError, NotSupported
from guest_agent.manager import Progress, WithBackups
from simulator.fleet.datastore import Account, Contents, Database, User
from simulator.fleet.machine import OnMachine

COPY_SECONDS: Final = (0.5, 10.0)
APPLY_SECONDS: Final = (0.5, 10.0)


class Copy(msgspec.Struct, frozen=True):
    """What one backup holds, from behind a position of the log (`None`: all) to another one."""

    after: str | None
    position: str
    databases: dict[str, Database]
    users: list[tuple[Account, User]]
    root_password: str | None

    def contents(self) -> Contents:
        """What the database holds that is made of it."""
        position = int(self.position)
        return Contents(self.databases, dict(self.users), self.root_password, position)


class WithSimBackups(OnMachine, WithBackups):
    """The part of the guest contract about backups."""

    open_store: OpenStore | None
    _being_made: tuple[str, aws.Event] | None = None

    def create_backup(
        self, request: arguments.CreateBackup, progress: Progress
    ) -> answers.BackedUp:
        stop = aws.event()
        self._being_made = (request.id, stop)
        store = self._opener()(request.id, stop)
        writer = Writer(store, request.id, request.location, progress, request.bandwidth)
        progress("copying the data")
        held = self._read()
        copy = Copy(
            after=request.parent.position if request.parent else None,
            position=str(held.log_position),
            databases=dict(held.databases),
            users=list(held.users.items()),
            root_password=held.root_password,
        )
        writer.write(self._taking_time(msgspec.json.encode(copy, enc_hook=dict)))
        return writer.finish(engine_version=self._machine.engine.number, position=copy.position)

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
                    content = b"".join(Reader(store, backup, progress).chunks())
                    self._step(COPY_SECONDS)
                    volume.fetched = {**volume.fetched, backup.id: content}
        return answers.Done()

    def apply_backup(self, request: arguments.ApplyBackup, progress: Progress) -> answers.Done:
        self.fetch_backup(request, progress)
        volume = self._formatted()
        if not volume.formatted:
            progress("applying the backups")
            contents = _made_of(request.chain, volume.fetched)
            self._step(APPLY_SECONDS)
            self._perform("apply", lambda: volume.restore(contents))
        volume.fetched = {}
        return answers.Done()

    def _taking_time(self, content: bytes) -> Iterator[bytes]:
        self._step(COPY_SECONDS)
        yield content

    def _opener(self) -> OpenStore:
        if self.open_store is None:
            raise NotSupported("this guest agent reaches no object store")
        return self.open_store


def _made_of(chain: list[StoredBackup], fetched: Mapping[str, bytes]) -> Contents:
    before: Copy | None = None
    for backup in chain:
        copy = msgspec.json.decode(fetched[backup.id], type=Copy)
        if copy.after != (before.position if before else None):
            raise GuestError(f"the backup {backup.id} does not go on where the one before it ends")
        before = copy
    assert before is not None, "a chain has a backup"
    return before.contents()
