"""The guest contract on MariaDB: the order of things; how each is done stands in its own module."""

from __future__ import annotations

from typing import Final

from guest_agent import contract
from guest_agent.config import GuestConfig
from guest_agent.contract import Status
from guest_agent.datastores.mariadb import accounts, databases, superuser
from guest_agent.datastores.mariadb.life import Life
from guest_agent.datastores.state import DatastoreState
from guest_agent.errors import BadRequest
from guest_agent.manager import Answer, Condition, Manager, Progress

NAMES: Final = frozenset({"mariadb", "mysql"})
FIRST_CONTENTS_SECONDS: Final = 600.0
"""For the databases, users and grants of a create, thousands at most."""


class MariaDBManager(Manager):
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

    def prepare(self, request: contract.Prepare, progress: Progress) -> Answer:
        if request.datastore.manager not in NAMES:
            raise BadRequest(f"this guest does not run {request.datastore.manager!r}")
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
        return {"status": Status.HEALTHY.value}

    def restart(self, request: contract.Nothing) -> Answer:
        self._life.restart()
        return {}

    def stop_db(self, request: contract.StopDatabase) -> Answer:
        self._life.stop(at_boot=not request.do_not_start_on_reboot, flavor=request.flavor)
        return {}

    def start_db_with_conf_changes(self, request: contract.StartForFlavor) -> Answer:
        return {"settings": dict(self._life.configure(request.flavor))}

    def resize_fs(self, request: contract.ResizeFileSystem) -> Answer:
        self._life.resize_fs(request.size)
        return {}

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
