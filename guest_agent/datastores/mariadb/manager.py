"""The guest contract on MariaDB: the order of things; how each is done stands in its own module."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Final

from msgspec.structs import replace

from guest_agent import contract
from guest_agent.config import GuestConfig
from guest_agent.contract import Status
from guest_agent.datastores import state
from guest_agent.datastores.mariadb import (
    accounts,
    configuration,
    databases,
    initialise,
    sql,
    superuser,
)
from guest_agent.datastores.mariadb.layout import SOCKET, Layout, below
from guest_agent.datastores.mariadb.service import Service
from guest_agent.datastores.mariadb.sql import Session
from guest_agent.datastores.os_user import OsUser, database_user
from guest_agent.datastores.state import DatastoreState
from guest_agent.errors import BadRequest, CommandFailed, GuestError
from guest_agent.manager import Answer, Manager, Progress
from guest_agent.storage import volume

NAMES: Final = frozenset({"mariadb", "mysql"})


class MariaDBManager(Manager):
    """Long methods hold `_lock`, so that two never move the process; reads never wait for it."""

    def __init__(self, guest: GuestConfig) -> None:
        self._guest = guest
        self._folder = guest.state_folder
        self._state = state.load(self._folder)
        self._lock = threading.Lock()
        self._service: Service | None = None
        self._probe = sql.Probe(guest.address, self._password)
        self._failed = False
        self._passing: Status | None = Status.RUNNING if self._state.prepared else None

    def start_up(self) -> str:
        if not self._state.prepared:
            return "There is no database yet; waiting for prepare."
        with self._lock, self._while_it_is(Status.RUNNING):
            service = self._make_service()
            if (pid := service.adopt()) is not None:
                return f"The database runs already (process {pid})."
            if self._state.stopped and not self._state.at_boot:
                return "The database was stopped and is to stay so."
            volume.attach(*self._volume_paths())
            self._start(service)
            return "The database was started."

    def prepare(self, request: contract.Prepare, progress: Progress) -> Answer:
        if request.datastore.manager not in NAMES:
            raise BadRequest(f"this guest does not run {request.datastore.manager!r}")
        with self._lock:
            self._failed = False
            try:
                self._prepare(request, progress)
            except (CommandFailed, OSError):
                self._failed = True
                raise
        return {"status": Status.HEALTHY.value}

    def _prepare(self, request: contract.Prepare, progress: Progress) -> None:
        user = self._user()
        self._save(
            DatastoreState(
                device_path=request.device_path,
                mount_point=request.mount_point,
                flavor=request.flavor,
            )
        )
        progress("preparing the volume")
        volume.attach(*self._volume_paths())
        progress("initialising the data directory")
        layout = self._layout()
        initialise.initialise(layout, user, request.flavor)
        progress("starting the database")
        service = self._make_service()
        if configuration.write(layout, self._guest.address, request.flavor):
            service.stop()  # one that was started with another configuration
        service.start()
        service.wait_until_ready(self._answers_by_socket)
        progress("securing root")
        self._secure()
        progress("creating databases and users")
        with self._session() as session:
            databases.create(session, request.databases, repeat=True)
            accounts.create(session, request.users, repeat=True)
            if request.root_password is not None:
                superuser.enable_root(session, request.root_password)
        self._save(replace(self._state, prepared=True))

    def restart(self, request: contract.Nothing) -> Answer:
        with self._lock, self._while_it_is(Status.RUNNING):
            service = self._prepared_service()
            service.stop()
            self._start(service)
            self._save(replace(self._state, stopped=False, at_boot=True))
        return {}

    def stop_db(self, request: contract.StopDatabase) -> Answer:
        with self._lock, self._while_it_is(Status.SHUTDOWN):
            at_boot = not request.do_not_start_on_reboot
            service = self._prepared_service()
            self._save(replace(self._state, stopped=True, at_boot=at_boot))
            service.stop()
        return {}

    def status(self) -> Status:
        if not self._state.prepared:
            return Status.FAILED if self._failed else Status.BUILDING
        if self._passing is not None:
            return self._passing
        if self._service is None or not self._service.alive():
            return Status.SHUTDOWN if self._state.stopped else Status.CRASHED
        return Status.HEALTHY if self._probe.answers() else Status.RUNNING

    def filesystem(self) -> dict[str, float]:
        if not self._state.mount_point:
            return {"used": 0.0, "total": 0.0}
        return volume.usage(self._layout().volume)

    def list_databases(self, request: contract.Page) -> Answer:
        with self._session() as session:
            return databases.listed(session, request)

    def create_database(self, request: contract.CreateDatabases) -> Answer:
        with self._session() as session:
            databases.create(session, request.databases)
        return {}

    def delete_database(self, request: contract.DeleteDatabase) -> Answer:
        with self._session() as session:
            databases.delete(session, request.database.name)
        return {}

    def list_users(self, request: contract.Page) -> Answer:
        with self._session() as session:
            return accounts.listed(session, request)

    def get_user(self, request: contract.Account) -> Answer:
        with self._session() as session:
            return {"user": accounts.shown(session, request.username, request.hostname)}

    def create_user(self, request: contract.CreateUsers) -> Answer:
        with self._session() as session:
            accounts.create(session, request.users)
        return {}

    def delete_user(self, request: contract.DeleteUser) -> Answer:
        with self._session() as session:
            accounts.delete(session, request.user.name, request.user.host)
        return {}

    def change_passwords(self, request: contract.ChangePasswords) -> Answer:
        with self._session() as session:
            accounts.change_passwords(session, request.users)
        return {}

    def update_attributes(self, request: contract.UpdateAttributes) -> Answer:
        with self._session() as session:
            accounts.update(session, request.username, request.hostname, request.user_attrs)
        return {}

    def list_access(self, request: contract.Account) -> Answer:
        with self._session() as session:
            names = accounts.access(session, request.username, request.hostname)
        return {"databases": [{"name": name} for name in names]}

    def grant_access(self, request: contract.GrantAccess) -> Answer:
        with self._session() as session:
            accounts.grant(session, request.username, request.hostname, request.databases)
        return {}

    def revoke_access(self, request: contract.RevokeAccess) -> Answer:
        with self._session() as session:
            accounts.revoke(session, request.username, request.hostname, request.database)
        return {}

    def is_root_enabled(self, request: contract.Nothing) -> Answer:
        with self._session() as session:
            return {"enabled": superuser.root_enabled(session)}

    def enable_root(self, request: contract.EnableRoot) -> Answer:
        with self._session() as session:
            superuser.enable_root(session, request.root_password)
        return {}

    def disable_root(self, request: contract.Nothing) -> Answer:
        with self._session() as session:
            superuser.disable_root(session)
        return {}

    def _start(self, service: Service) -> None:
        """Start and wait; repairs os_admin, whom an enabled root may have changed."""
        service.start()
        service.wait_until_ready(self._answers_by_socket)
        self._secure()

    def _secure(self) -> None:
        with sql.by_socket(self._layout().data, initialise.agent_account()) as session:
            superuser.secure(session, self._guest.address, self._password())

    def _session(self) -> AbstractContextManager[Session]:
        return sql.over_tcp(self._guest.address, self._password())

    def _password(self) -> str:
        return superuser.admin_password(self._folder)

    def _answers_by_socket(self) -> bool:
        if not (self._layout().data / SOCKET).exists():
            return False
        try:
            with sql.by_socket(self._layout().data, initialise.agent_account()) as session:
                return bool(session.rows("SELECT 1"))
        except CommandFailed:
            return False

    def _prepared_service(self) -> Service:
        if not self._state.prepared:
            raise GuestError("the database is not prepared yet")
        return self._make_service()

    def _make_service(self) -> Service:
        if self._service is None:
            self._service = Service(self._layout(), self._user())
        return self._service

    def _user(self) -> OsUser:
        return database_user(self._guest.agent.database_user)

    def _layout(self) -> Layout:
        return Layout(self._guest.root, self._volume_paths()[1])

    def _volume_paths(self) -> tuple[Path, Path]:
        root = self._guest.root
        return below(root, self._state.device_path), below(root, self._state.mount_point)

    def _save(self, new: DatastoreState) -> None:
        state.save(self._folder, new)
        self._state = new

    @contextmanager
    def _while_it_is(self, passing: Status) -> Iterator[None]:
        self._passing = passing
        try:
            yield
        finally:
            self._passing = None
