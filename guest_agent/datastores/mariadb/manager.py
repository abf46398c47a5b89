"""The guest contract on MariaDB: the order of things; how each is done stands in its own module."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from chalicelib.bus.contract import answers, arguments
from chalicelib.bus.contract.values import DatabaseName
from guest_agent.config import GuestConfig
from guest_agent.datastores.mariadb import accounts, configuration, databases, superuser
from guest_agent.datastores.mariadb.life import Life
from guest_agent.datastores.state import DatastoreState
from guest_agent.errors import BadRequest, CommandFailed
from guest_agent.manager import (
    Condition,
    Manager,
    Progress,
    WithAccess,
    WithDatabases,
    WithRoot,
    WithUpgrades,
    WithUsers,
)

NAMES: Final = frozenset({"mariadb", "mysql"})
FIRST_CONTENTS_SECONDS: Final = 600.0
"""For the databases, users and grants of a create, thousands at most."""


class MariaDBManager(Manager, WithUpgrades, WithDatabases, WithUsers, WithAccess, WithRoot):
    """Long methods move the process, one at a time; reads never wait for them."""

    def __init__(self, guest: GuestConfig) -> None:
        self._life = Life(guest)
        self._session = self._life.session

    def start_up(self) -> str:
        return self._life.start_up()

    def start_again(self) -> str:
        return self._life.start_again()

    def give_up(self) -> None:
        self._life.give_up()

    def condition(self) -> Condition:
        return self._life.condition()

    def filesystem(self) -> dict[str, float]:
        return self._life.filesystem()

    def prepare(self, request: arguments.Prepare, progress: Progress) -> answers.Prepared:
        _require_own(request.datastore)
        wanted = DatastoreState(
            volume_id=request.volume_id,
            device_path=request.device_path,
            mount_point=request.mount_point,
            flavor=request.flavor,
        )
        life = self._life
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
                databases.create(session, request.databases, repeat=True)
                accounts.create(session, request.users, repeat=True)
                if request.root_password is not None:
                    superuser.enable_root(session, request.root_password)
        return answers.Prepared("healthy")

    def rebuild(self, request: arguments.Rebuild, progress: Progress) -> answers.Prepared:
        with self._going_on(request, progress):
            pass
        return answers.Prepared("healthy")

    def upgrade(self, request: arguments.Upgrade, progress: Progress) -> answers.Upgraded:
        life = self._life
        try:
            with self._going_on(request, progress):
                settings = life.settings_held()
        except (CommandFailed, OSError):
            life.let_go()
            raise
        with self._session() as session:
            return answers.Upgraded(settings=settings, version=configuration.version(session))

    @contextmanager
    def _going_on(self, request: arguments.Rebuild, progress: Progress) -> Iterator[None]:
        """A first start with the data that are there; what is done inside belongs to it."""
        _require_own(request.datastore)
        wanted = DatastoreState(
            volume_id=request.volume_id, mount_point=request.mount_point, flavor=request.flavor
        )
        life = self._life
        with life.preparing(wanted):
            progress("attaching the volume")
            life.attach_volume(with_data=True)
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

    def resize_fs(self, request: arguments.ResizeFileSystem) -> answers.Done:
        self._life.resize_fs(request.size)
        return answers.Done()

    def list_databases(self, request: arguments.Page) -> answers.DatabasePage:
        with self._session() as session:
            return databases.listed(session, request)

    def create_database(self, request: arguments.CreateDatabases) -> answers.Done:
        with self._session() as session:
            databases.create(session, request.databases)
        return answers.Done()

    def delete_database(self, request: arguments.DeleteDatabase) -> answers.Done:
        with self._session() as session:
            databases.delete(session, request.database.name)
        return answers.Done()

    def list_users(self, request: arguments.Page) -> answers.UserPage:
        with self._session() as session:
            return accounts.listed(session, request)

    def get_user(self, request: arguments.Account) -> answers.OneUser:
        with self._session() as session:
            return answers.OneUser(accounts.shown(session, request.username, request.hostname))

    def create_user(self, request: arguments.CreateUsers) -> answers.Done:
        with self._session() as session:
            accounts.create(session, request.users)
        return answers.Done()

    def delete_user(self, request: arguments.DeleteUser) -> answers.Done:
        with self._session() as session:
            accounts.delete(session, request.user.name, request.user.host)
        return answers.Done()

    def change_passwords(self, request: arguments.ChangePasswords) -> answers.Done:
        with self._session() as session:
            accounts.change_passwords(session, request.users)
        return answers.Done()

    def update_attributes(self, request: arguments.UpdateAttributes) -> answers.Done:
        with self._session() as session:
            accounts.update(session, request.username, request.hostname, request.user_attrs)
        return answers.Done()

    def list_access(self, request: arguments.Account) -> answers.Access:
        with self._session() as session:
            names = accounts.access(session, request.username, request.hostname)
        return answers.Access([DatabaseName(name) for name in names])

    def grant_access(self, request: arguments.GrantAccess) -> answers.Done:
        with self._session() as session:
            accounts.grant(session, request.username, request.hostname, request.databases)
        return answers.Done()

    def revoke_access(self, request: arguments.RevokeAccess) -> answers.Done:
        with self._session() as session:
            accounts.revoke(session, request.username, request.hostname, request.database)
        return answers.Done()

    def is_root_enabled(self, request: arguments.Nothing) -> answers.RootState:
        with self._session() as session:
            return answers.RootState(superuser.root_enabled(session))

    def enable_root(self, request: arguments.EnableRoot) -> answers.Done:
        with self._session() as session:
            superuser.enable_root(session, request.root_password)
        return answers.Done()

    def disable_root(self, request: arguments.Nothing) -> answers.Done:
        with self._session() as session:
            superuser.disable_root(session)
        return answers.Done()


def _require_own(datastore: arguments.Datastore) -> None:
    """Refuse what another manager runs."""
    if datastore.manager not in NAMES:
        raise BadRequest(f"this guest does not run {datastore.manager!r}")
