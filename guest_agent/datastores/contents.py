"""The parts of the contract about databases and users, on an engine that is asked in sessions.

Each call is one session. What is asked in it stands in three modules of the engine, which answer
the protocols here.
"""

from __future__ import annotations

from typing import Any, Protocol, TypeVar

from chalicelib.bus.contract import answers, arguments
from chalicelib.bus.contract.values import Database, DatabaseName
from guest_agent.datastores.server import S
from guest_agent.datastores.server_manager import ServerManager
from guest_agent.manager import WithAccess, WithDatabases, WithRoot, WithUsers

T = TypeVar("T", contravariant=True)
Host = str | None


class Databases(Protocol[T]):
    """The databases of the customer; those of the system are neither shown nor touched."""

    def listed(self, session: T, page: arguments.Page) -> answers.DatabasePage:
        """A page of databases, ordered by the bytes of the name."""

    def create(self, session: T, databases: list[Database], *, repeat: bool = False) -> None:
        """Create databases; `DatabaseAlreadyExists` unless they may be there (`repeat`)."""

    def delete(self, session: T, name: str) -> None:
        """Drop a database with everything in it; `DatabaseNotFound`."""


class Accounts(Protocol[T]):
    """The users of the customer and what they are let into. `UserNotFound` where there is none."""

    def listed(self, session: T, page: arguments.Page) -> answers.UserPage:
        """A page of users, ordered by the bytes of their names."""

    def shown(self, session: T, name: str, host: Host) -> answers.UserShown:
        """One user with its databases."""

    def access(self, session: T, name: str, host: Host) -> list[str]:
        """The databases that a user may use, by name."""

    def create(self, session: T, users: list[arguments.User], *, repeat: bool = False) -> None:
        """Create users with their grants; `UserAlreadyExists` unless they may be there."""

    def delete(self, session: T, name: str, host: Host) -> None:
        """Drop a user."""

    def change_passwords(self, session: T, users: list[arguments.UserPassword]) -> None:
        """Set passwords, after looking whether all users are there."""

    def update(self, session: T, name: str, host: Host, wanted: arguments.UserAttributes) -> None:
        """Rename a user, move it to another host, or set its password; grants stay with it."""

    def grant(self, session: T, name: str, host: Host, names: list[str]) -> None:
        """Let a user do everything in databases; `DatabaseNotFound`."""

    def revoke(self, session: T, name: str, host: Host, database: str) -> None:
        """Take a database away from a user; `DatabaseNotFound` when it has no access to it."""


class Superuser(Protocol[T]):
    """The account above all others that a customer may have."""

    def root_enabled(self, session: T) -> bool:
        """Whether it may log in from outside."""

    def enable_root(self, session: T, password: str) -> None:
        """Let it in from outside; sets the password when it is let in already."""

    def disable_root(self, session: T) -> None:
        """Let it in no longer, and end its sessions; nothing happens when it is not."""


class RootManager(ServerManager[S], WithRoot):
    """A manager of an engine with a superuser."""

    superuser: Superuser[Any]

    def _fill(self, session: S, wanted: arguments.Contents) -> None:
        if wanted.root_password is not None:
            self.superuser.enable_root(session, wanted.root_password)

    def is_root_enabled(self, request: arguments.Nothing) -> answers.RootState:
        with self._session() as session:
            return answers.RootState(self.superuser.root_enabled(session))

    def enable_root(self, request: arguments.EnableRoot) -> answers.Done:
        with self._session() as session:
            self.superuser.enable_root(session, request.root_password)
        return answers.Done()

    def disable_root(self, request: arguments.Nothing) -> answers.Done:
        with self._session() as session:
            self.superuser.disable_root(session)
        return answers.Done()


class ContentsManager(RootManager[S], WithDatabases, WithUsers, WithAccess):
    """A manager of an engine with databases, users who are let into them, and a superuser."""

    databases: Databases[Any]
    accounts: Accounts[Any]

    def _fill(self, session: S, wanted: arguments.Contents) -> None:
        self.databases.create(session, wanted.databases, repeat=True)
        self.accounts.create(session, wanted.users, repeat=True)
        super()._fill(session, wanted)

    def list_databases(self, request: arguments.Page) -> answers.DatabasePage:
        with self._session() as session:
            return self.databases.listed(session, request)

    def create_database(self, request: arguments.CreateDatabases) -> answers.Done:
        with self._session() as session:
            self.databases.create(session, request.databases)
        return answers.Done()

    def delete_database(self, request: arguments.DeleteDatabase) -> answers.Done:
        with self._session() as session:
            self.databases.delete(session, request.database.name)
        return answers.Done()

    def list_users(self, request: arguments.Page) -> answers.UserPage:
        with self._session() as session:
            return self.accounts.listed(session, request)

    def get_user(self, request: arguments.Account) -> answers.OneUser:
        with self._session() as session:
            return answers.OneUser(self.accounts.shown(session, request.username, request.hostname))

    def create_user(self, request: arguments.CreateUsers) -> answers.Done:
        with self._session() as session:
            self.accounts.create(session, request.users)
        return answers.Done()

    def delete_user(self, request: arguments.DeleteUser) -> answers.Done:
        with self._session() as session:
            self.accounts.delete(session, request.user.name, request.user.host)
        return answers.Done()

    def change_passwords(self, request: arguments.ChangePasswords) -> answers.Done:
        with self._session() as session:
            self.accounts.change_passwords(session, request.users)
        return answers.Done()

    def update_attributes(self, request: arguments.UpdateAttributes) -> answers.Done:
        with self._session() as session:
            self.accounts.update(session, request.username, request.hostname, request.user_attrs)
        return answers.Done()

    def list_access(self, request: arguments.Account) -> answers.Access:
        with self._session() as session:
            names = self.accounts.access(session, request.username, request.hostname)
        return answers.Access([DatabaseName(name) for name in names])

    def grant_access(self, request: arguments.GrantAccess) -> answers.Done:
        with self._session() as session:
            self.accounts.grant(session, request.username, request.hostname, request.databases)
        return answers.Done()

    def revoke_access(self, request: arguments.RevokeAccess) -> answers.Done:
        with self._session() as session:
            self.accounts.revoke(session, request.username, request.hostname, request.database)
        return answers.Done()
