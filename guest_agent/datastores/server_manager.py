"""The guest contract on a database server, whatever its engine: the order of things.

How each is done stands in `life` and in the engine's `Server`; what stands inside the database is
asked of its own manager.
"""

from __future__ import annotations

import logging
from abc import abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, ClassVar, Final, Generic

from chalicelib import engines
from chalicelib.bus.contract import answers, arguments
from chalicelib.bus.contract.metrics import EngineMetrics
from guest_agent.config import GuestConfig
from guest_agent.datastores.life import Life
from guest_agent.datastores.server import S, Server
from guest_agent.datastores.state import DatastoreState
from guest_agent.errors import BadRequest, CommandFailed
from guest_agent.manager import (
    Condition,
    Manager,
    Progress,
    WithConfiguration,
    WithUpgrades,
)

FIRST_CONTENTS_SECONDS: Final = 600.0
"""For the databases, users and grants of a create, thousands at most."""
_log = logging.getLogger(__name__)


class ServerManager(Manager, WithUpgrades, WithConfiguration, Generic[S]):
    """Long methods move the process, one at a time; reads never wait for them."""

    SERVER: ClassVar[type[Server[Any]]]

    def __init__(self, guest: GuestConfig) -> None:
        self._life: Life[S] = Life(guest, self.SERVER)
        self._session = self._life.session

    @abstractmethod
    def _fill(self, session: S, wanted: arguments.Contents) -> None:
        """Make what a create wants to be in the database, or what of it is not there yet."""

    def start_up(self) -> str:
        return self._life.start_up()

    def start_again(self) -> str:
        return self._life.start_again()

    def give_up(self) -> None:
        self._life.give_up()

    def condition(self) -> Condition:
        return self._life.condition()

    def watch(self) -> float:
        return self._life.watch()

    def filesystem(self) -> dict[str, float]:
        return self._life.filesystem()

    def metrics(self) -> EngineMetrics:
        return self._life.metrics()

    def prepare(self, request: arguments.Prepare, progress: Progress) -> answers.Prepared:
        self._require_own(request.datastore)
        life = self._life
        wanted = DatastoreState(
            volume_id=request.volume_id,
            device_path=request.device_path,
            mount_point=request.mount_point,
            flavor=request.flavor,
            configuration=life.checked(request.configuration),
        )
        with life.preparing(wanted):
            progress("preparing the volume")
            life.attach_volume()
            progress("initialising the data directory")
            life.initialise(request.flavor)
            progress("starting the database")
            life.first_start(request.flavor)
            progress("securing root")
            life.secure()
            progress("creating databases and users")
            with self._session(FIRST_CONTENTS_SECONDS) as session:
                session.allow_each(FIRST_CONTENTS_SECONDS)
                self._fill(session, request)
        return answers.Prepared("healthy", holds_configuration=True)

    def rebuild(self, request: arguments.Rebuild, progress: Progress) -> answers.Prepared:
        with self._going_on(request, progress):
            pass
        return answers.Prepared("healthy", holds_configuration=True)

    def upgrade(self, request: arguments.Upgrade, progress: Progress) -> answers.Upgraded:
        life = self._life
        try:
            with self._going_on(request, progress):
                settings = life.settings_held()
        except (CommandFailed, OSError):
            life.let_go()
            raise
        return answers.Upgraded(settings, life.version(), holds_configuration=True)

    @contextmanager
    def _going_on(self, request: arguments.Rebuild, progress: Progress) -> Iterator[None]:
        """A first start with the data that are there; what is done inside belongs to it."""
        self._require_own(request.datastore)
        life = self._life
        wanted = DatastoreState(
            volume_id=request.volume_id,
            mount_point=request.mount_point,
            flavor=request.flavor,
            configuration=life.checked(request.configuration),
        )
        with life.preparing(wanted):
            progress("attaching the volume")
            life.attach_volume(with_data=True)
            life.clear_trial()
            life.take_over(request.number)
            progress("starting the database")
            life.first_start(request.flavor)
            progress("securing root")
            life.secure()
            yield

    def restart(self, request: arguments.Nothing) -> answers.Done:
        self._life.restart()
        return answers.Done()

    def stop_db(self, request: arguments.StopDatabase) -> answers.Done:
        self._life.stop(at_boot=not request.do_not_start_on_reboot, flavor=request.flavor)
        return answers.Done()

    def start_db_with_conf_changes(self, request: arguments.StartForFlavor) -> answers.Configured:
        return answers.Configured(dict(self._life.configure(request.flavor)))

    def update_overrides(self, request: arguments.UpdateOverrides) -> answers.Overridden:
        chosen, group = len(request.values), request.group
        _log.info("Configuration group %r chooses %d values.", group, chosen)
        return answers.Overridden(self._life.override(request.values))

    def resize_fs(self, request: arguments.ResizeFileSystem) -> answers.Done:
        self._life.resize_fs(request.size)
        return answers.Done()

    def _require_own(self, datastore: arguments.Datastore) -> None:
        """Refuse what another manager runs."""
        if engines.ENGINES.get(datastore.manager) is not self.SERVER.ENGINE:
            raise BadRequest(f"this guest does not run {datastore.manager!r}")
