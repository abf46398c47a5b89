"""The databases, users and root of a simulated database server, as statements on its volume."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Final, TypeVar

from chalicelib.bus.contract import answers, arguments, values
from chalicelib.engines.engine import Engine
from guest_agent.errors import (
    BadRequest,
    DatabaseAlreadyExists,
    DatabaseNotFound,
    UserAlreadyExists,
    UserNotFound,
)
from guest_agent.manager import WithAccess, WithDatabases, WithRoot, WithUsers
from simulator.fleet.datastore import Account, Contents, Database, User
from simulator.fleet.machine import OnMachine

T = TypeVar("T")

DROP_SECONDS: Final = (0.1, 2.0)


class WithSuperuser(OnMachine, WithRoot):
    """The part of the guest contract that every engine has: the one above all others."""

    ENGINE: ClassVar[Engine]

    def _fill(self, wanted: arguments.Contents) -> None:
        """Make what a create wants to be there."""
        if wanted.root_password is not None:
            self._write(self._contents().with_root(wanted.root_password))

    def is_root_enabled(self, request: arguments.Nothing) -> answers.RootState:
        return answers.RootState(self._read().root_password is not None)

    def enable_root(self, request: arguments.EnableRoot) -> answers.Done:
        self._write(self._read().with_root(request.root_password))
        return answers.Done()

    def disable_root(self, request: arguments.Nothing) -> answers.Done:
        self._write(self._read().with_root(None))
        return answers.Done()


class WithContents(WithSuperuser, WithDatabases, WithUsers, WithAccess):
    """The parts of the guest contract about databases, users, and who is let into which.

    `DEFAULT` is a database of which nothing was said. On some a grant outlives its database.
    """

    DEFAULT: ClassVar[Database] = Database()
    GRANTS_OUTLIVE: ClassVar[bool] = True

    def _fill(self, wanted: arguments.Contents) -> None:
        for database in wanted.databases:
            self._check_database_name(database.name)
            if database.name not in self._contents().databases:
                made = self._database_of(database)
                self._write(self._contents().with_database(database.name, made))
        for user in wanted.users:
            self._check_user_name(user.name)
            self._write(self._contents().with_user(account_of(user.name, user.host), user_of(user)))
        super()._fill(wanted)

    def list_databases(self, request: arguments.Page) -> answers.DatabasePage:
        shown, more = _page(self._read().databases, request, lambda name: name)
        rows = [values.Database(name, each.character_set, each.collate) for name, each in shown]
        return answers.DatabasePage(rows, more)

    def create_database(self, request: arguments.CreateDatabases) -> answers.Done:
        contents = self._read()
        for place, database in enumerate(request.databases):
            self._check_database_name(database.name)
            if any(database.name == other.name for other in request.databases[:place]):
                raise BadRequest(f"the database {database.name!r} is named twice")
            if database.name in contents.databases:
                raise DatabaseAlreadyExists(f"there is a database {database.name!r}")
        for database in request.databases:
            self._write(self._read().with_database(database.name, self._database_of(database)))
        return answers.Done()

    def delete_database(self, request: arguments.DeleteDatabase) -> answers.Done:
        self._check_database_name(request.database.name)
        self._step(DROP_SECONDS)
        self._find_database(self._read(), request.database.name)
        after = self._contents().without_database(request.database.name)
        if not self.GRANTS_OUTLIVE:
            for account, user in after.users.items():
                left = user.grants - {request.database.name}
                if left != user.grants:
                    after = after.with_user(account, User(user.password, left))
        self._write(after)
        return answers.Done()

    def list_users(self, request: arguments.Page) -> answers.UserPage:
        shown, more = _page(self._read().users, request, "@".join)
        return answers.UserPage([_view(account, user) for account, user in shown], more)

    def get_user(self, request: arguments.Account) -> answers.OneUser:
        account = account_of(request.username, request.hostname)
        return answers.OneUser(_view(account, self._find_user(self._read(), account)))

    def create_user(self, request: arguments.CreateUsers) -> answers.Done:
        contents = self._read()
        accounts = [account_of(user.name, user.host) for user in request.users]
        for place, user in enumerate(request.users):
            self._check_user_name(user.name)
            for database in user.databases:
                self._find_database(contents, database.name)
            if accounts[place] in accounts[:place]:
                raise BadRequest(f"the user {user.name!r} is named twice")
            _check_user_is_new(contents, accounts[place])
        for user in request.users:
            account = account_of(user.name, user.host)
            contents = self._read()
            _check_user_is_new(contents, account)
            self._write(contents.with_user(account, user_of(user)))
        return answers.Done()

    def delete_user(self, request: arguments.DeleteUser) -> answers.Done:
        self._check_user_name(request.user.name)
        account = account_of(request.user.name, request.user.host)
        contents = self._read()
        self._find_user(contents, account)
        self._write(contents.without_user(account))
        return answers.Done()

    def change_passwords(self, request: arguments.ChangePasswords) -> answers.Done:
        contents = self._read()
        for wanted in request.users:
            self._find_user(contents, account_of(wanted.name, wanted.host))
        for wanted in request.users:
            account = account_of(wanted.name, wanted.host)
            contents = self._read()
            before = self._find_user(contents, account)
            self._write(contents.with_user(account, User(wanted.password, before.grants)))
        return answers.Done()

    def update_attributes(self, request: arguments.UpdateAttributes) -> answers.Done:
        wanted, before = request.user_attrs, account_of(request.username, request.hostname)
        contents = self._read()
        user = self._find_user(contents, before)
        after = (wanted.name or before[0], _host(wanted.host) if wanted.host else before[1])
        if after != before:
            self._check_user_name(after[0])
            _check_user_is_new(contents, after)
            contents = contents.without_user(before).with_user(after, user)
            self._write(contents)
        if wanted.password is not None:
            self._write(self._contents().with_user(after, User(wanted.password, user.grants)))
        return answers.Done()

    def list_access(self, request: arguments.Account) -> answers.Access:
        user = self._find_user(self._read(), account_of(request.username, request.hostname))
        return answers.Access([values.DatabaseName(name) for name in sorted(user.grants)])

    def grant_access(self, request: arguments.GrantAccess) -> answers.Done:
        account = account_of(request.username, request.hostname)
        contents = self._read()
        self._find_user(contents, account)
        for name in request.databases:
            self._find_database(contents, name)
        for name in request.databases:
            contents = self._read()
            before = self._find_user(contents, account)
            self._write(contents.with_user(account, User(before.password, before.grants | {name})))
        return answers.Done()

    def revoke_access(self, request: arguments.RevokeAccess) -> answers.Done:
        account = account_of(request.username, request.hostname)
        contents = self._read()
        before = contents.users.get(account)
        if before is None or request.database not in before.grants:
            raise DatabaseNotFound(
                f"{request.username!r} has no access to a database {request.database!r}"
            )
        after = User(before.password, before.grants - {request.database})
        self._write(contents.with_user(account, after))
        return answers.Done()

    # ----------------------------------------------------------------------- the server

    def _find_database(self, contents: Contents, name: str) -> Database:
        found = contents.databases.get(name)
        if found is None or name.lower() in self.ENGINE.rules.RESERVED_DATABASES:
            raise DatabaseNotFound(f"there is no database {name!r}")
        return found

    def _find_user(self, contents: Contents, account: Account) -> User:
        found = contents.users.get(account)
        if found is None or account[0] in self.ENGINE.rules.RESERVED_USERS:
            raise UserNotFound(f"there is no user {account[0]!r} at {account[1]!r}")
        return found

    def _check_database_name(self, name: str) -> None:
        if name.lower() in self.ENGINE.rules.RESERVED_DATABASES:
            raise BadRequest(f"the database name {name!r} is reserved")

    def _check_user_name(self, name: str) -> None:
        if name in self.ENGINE.rules.RESERVED_USERS | {""}:
            raise BadRequest(f"the user name {name!r} is reserved")

    def _database_of(self, wanted: values.Database) -> Database:
        return Database(
            wanted.character_set or self.DEFAULT.character_set,
            wanted.collate or self.DEFAULT.collate,
        )


def _page(
    things: Mapping[T, Any], page: arguments.Page, name_of: Any
) -> tuple[list[tuple[T, Any]], str | None]:
    """The things of a page in the order of their names, and the marker of the next page."""
    named = sorted((str(name_of(key)), key) for key in things)
    marker = page.marker
    if marker is not None:
        named = [
            (name, key)
            for name, key in named
            if name > marker or (page.include_marker and name == marker)
        ]
    shown = named[: page.size()]
    more = shown[-1][0] if len(named) > len(shown) else None
    return [(key, things[key]) for _, key in shown], more


def _check_user_is_new(contents: Contents, account: Account) -> None:
    if account in contents.users:
        raise UserAlreadyExists(f"there is a user {account[0]!r} at {account[1]!r}")


def user_of(wanted: arguments.User) -> User:
    return User(wanted.password, frozenset(database.name for database in wanted.databases))


def account_of(name: str, host: str | None) -> Account:
    return name, _host(host)


def _host(host: str | None) -> str:
    return (host or values.ANY_HOST).lower()


def _view(account: Account, user: User) -> answers.UserShown:
    name, host = account
    return answers.UserShown(
        name, host, [values.DatabaseName(each) for each in sorted(user.grants)]
    )
