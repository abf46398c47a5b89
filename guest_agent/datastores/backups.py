"""The parts of the contract about backups: the order of things, on any engine that has `Copies`."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, ClassVar

from msgspec.structs import replace

from chalicelib import aws
from chalicelib.bus.contract import answers, arguments
from guest_agent.backups import replaying
from guest_agent.backups.archiver import log_behind
from guest_agent.backups.store import OpenStore
from guest_agent.backups.writer import Writer
from guest_agent.config import GuestConfig
from guest_agent.datastores.copies import Copies, Restore, require_room, room_told
from guest_agent.datastores.log import Sent
from guest_agent.datastores.server import S
from guest_agent.datastores.server_manager import ServerManager
from guest_agent.datastores.state import DatastoreState
from guest_agent.datastores.trial import Trial
from guest_agent.errors import NotSupported
from guest_agent.manager import Progress, WithBackups


class BackupsManager(ServerManager[S], WithBackups):
    """A backup never holds the process of its database, which may be moved meanwhile."""

    COPIES: ClassVar[type[Copies[Any]]]
    TRIAL: ClassVar[type[Trial[Any]]]

    def __init__(self, guest: GuestConfig) -> None:
        super().__init__(guest)
        self._stops: dict[str, aws.Event] = {}

    def start_up(self) -> str:
        self._life.clear_trial()
        return super().start_up()

    def create_backup(
        self, request: arguments.CreateBackup, progress: Progress
    ) -> answers.BackedUp:
        stop = self._stops[request.id] = aws.event()
        try:
            version, copies = self._life.version(), self._copies()
            require_room(copies.server)
            store = self._opener()(request.id, stop)
            writer = Writer(store, request.id, request.location, progress, request.bandwidth, stop)
            progress("copying the data")
            before = self._place()
            with room_told(copies.server):
                copied = copies.copy(writer.write, request.parent, stop)
            made = writer.finish(engine_version=version, position=copied.position)
            behind = copied.log_position, copied.reached_position
            made = replace(made, log=log_behind(before, self._place(), *behind))
            copies.completed(copied.position, request.parent)
            return made
        finally:
            self._stops.pop(request.id, None)

    def cancel_backup(self, request: arguments.CancelBackup) -> answers.Done:
        if (stop := self._stops.get(request.id)) is not None:
            stop.set()
        return answers.Done()

    def fetch_backup(self, request: arguments.FetchBackup, progress: Progress) -> answers.Done:
        with self._restoring(request) as restore:
            restore.fetch(progress)
        return answers.Done()

    def apply_backup(self, request: arguments.ApplyBackup, progress: Progress) -> answers.Applied:
        with self._restoring(request) as restore:
            restore.apply(progress, request.log, self.list_pieces)
        return replaying.applied(request.log)

    def verify_backup(
        self, request: arguments.VerifyBackup, progress: Progress
    ) -> answers.Verified:
        backup_id = request.chain[-1].id
        stop = self._stops[backup_id] = aws.event()
        try:
            return self.TRIAL(self._copies(), request, self._opener()).run(stop, progress)
        finally:
            self._stops.pop(backup_id, None)

    @contextmanager
    def _restoring(self, request: arguments.FetchBackup) -> Iterator[Restore[S]]:
        """The restore of a server that has no database yet, on its volume."""
        self._require_own(request.datastore)
        wanted = DatastoreState(
            volume_id=request.volume_id, mount_point=request.mount_point, flavor=request.flavor
        )
        opener = self._opener()
        with self._life.before_prepared(wanted):
            self._life.attach_volume()
            yield Restore(self._copies(), request.chain, opener)

    def _place(self) -> Sent | None:
        return self.log_place() if self.log_place is not None else None

    def _copies(self) -> Copies[S]:
        return self.COPIES(self._life.server, self._session)

    def _opener(self) -> OpenStore:
        if self.open_store is None:
            raise NotSupported("this guest agent reaches no object store")
        return self.open_store
