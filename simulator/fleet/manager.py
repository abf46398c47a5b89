"""The guest contract on a simulated volume: what a MariaDB manager does, as steps that take time.

Between two steps a guest can die; what was written stays written, as on a real server.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Final, Protocol, TypeVar

from chalicelib import aws, mariadb
from chalicelib.bus.contract import METHODS, answers, arguments, values
from chalicelib.datastores import numbers_of
from chalicelib.service_status import ServiceStatus as Status
from guest_agent.datastores.mariadb import configuration
from guest_agent.errors import (
    BadRequest,
    CommandFailed,
    DatabaseAlreadyExists,
    DatabaseNotFound,
    GuestError,
    NotSupported,
    Unavailable,
    UserAlreadyExists,
    UserNotFound,
)
from guest_agent.manager import (
    Condition,
    Manager,
    Progress,
    WithDatabases,
    WithRoot,
    WithUpgrades,
    WithUsers,
)
from simulator.fleet.datastore import Account, Contents, Database, User, Volume
from simulator.fleet.disk import Disk, Perform, directly
from simulator.fleet.engines import Engine

T = TypeVar("T")

RESERVED_USERS: Final = mariadb.RESERVED_USERS | {""}
STATEMENT_SECONDS: Final = (0.002, 0.02)
STAGES: Final = (
    ("preparing the volume", 1.0, 4.0),
    ("initialising the data directory", 3.0, 12.0),
    ("starting the database", 1.0, 5.0),
    ("securing root", 0.1, 0.5),
)
ATTACH_SECONDS: Final = (0.5, 3.0)
START_SECONDS: Final = (1.0, 5.0)
STOP_SECONDS: Final = (0.5, 3.0)
TURN_SECONDS: Final = (0.05, 0.1)
GROW_SECONDS: Final = (0.5, 20.0)
DROP_SECONDS: Final = (0.1, 2.0)
DATA_FOLDER: Final = "/var/lib/mysql/data"


class Machine(Protocol):
    """What a manager has to know of the server that it runs on."""

    disk: Disk
    engine: Engine
    up: bool
    """Whether the database's process runs; it outlives the agent's."""
    stuck: bool
    """Whether the database's process runs and does not answer."""
    failed: bool
    given_up: bool
    stopped_at: float
    """When this life's database was stopped, on the monotonic clock."""
    passing: Status | None
    """The status while the process is being started or stopped."""
    runs_for: arguments.Flavor
    """The flavor for which the database was configured when it was started."""

    @property
    def volume(self) -> Volume | None:
        """The volume under the mount point."""

    def here(self, life: int) -> None:
        """End, or hold up, a coroutine of a process that died or hangs."""

    def spend(self, seconds: tuple[float, float]) -> None:
        """Let a drawn time pass; longer on a slow disk."""


class SimManager(Manager, WithUpgrades, WithDatabases, WithUsers, WithRoot):
    """The manager in one process (`life`) of a guest's agent."""

    def __init__(self, machine: Machine, life: int, perform: Perform = directly) -> None:
        self._machine = machine
        self._perform = perform
        self._life = life

    def call(self, name: str, args: dict[str, Any], progress: Progress) -> dict[str, Any]:
        """Execute a command, unless it is newer than the agent on the root disk."""
        method = METHODS.get(name)
        if method is not None and method.since > self._machine.disk.release:
            raise NotSupported(f"this guest agent has no method {name!r}")
        return super().call(name, args, progress)

    def start_up(self) -> str:
        machine = self._machine
        if not machine.disk.prepared:
            return "There is no database yet; waiting for prepare."
        if machine.up:
            return "The database runs already."
        if machine.disk.stopped and not machine.disk.at_boot:
            return "The database was stopped and is to stay so."
        machine.disk.stopped = False
        with self._while_it_is(Status.RESTARTING):
            self._start(machine.disk.next_flavor)
        return "The database was started."

    def start_again(self) -> str:
        machine = self._machine
        if not machine.disk.prepared or (machine.disk.stopped and not self._comes_back()):
            return "The database was stopped and is to stay so."
        if machine.disk.stopped:
            machine.disk.stopped, machine.disk.next_flavor = False, None
        if machine.up:
            return "The database runs again already."
        with self._while_it_is(Status.RESTARTING):
            self._start()
        return "The database was started again."

    def give_up(self) -> None:
        self._machine.given_up = True

    def condition(self) -> Condition:
        machine = self._machine
        if not machine.disk.prepared:
            return Condition(Status.FAILED if machine.failed else Status.BUILDING)
        if machine.passing is not None:
            return Condition(machine.passing)
        if not machine.up:
            return self._dead()
        if machine.stuck:
            return Condition(Status.BLOCKED, "the database runs and does not answer")
        if machine.disk.full:
            return Condition(Status.BLOCKED, "the volume is full")
        return Condition(Status.HEALTHY)

    def _dead(self) -> Condition:
        if self._machine.disk.stopped:
            return Condition(Status.SHUTDOWN, start_wanted=self._comes_back())
        cause = "the volume is full" if self._machine.disk.full else "the database has ended"
        if self._machine.given_up:
            return Condition(Status.FAILED, f"{cause}; it is not started again until it is told to")
        return Condition(Status.CRASHED, cause, start_wanted=True)

    def _comes_back(self) -> bool:
        late = aws.monotonic() - self._machine.stopped_at >= arguments.COMES_BACK_SECONDS
        return self._machine.disk.at_boot and late

    def filesystem(self) -> dict[str, float]:
        volume = self._machine.volume
        if volume is None or not volume.formatted:
            return {"used": 0.0, "total": 0.0}
        return {"used": volume.used_gib(), "total": float(volume.file_system_gib)}

    def prepare(self, request: arguments.Prepare, progress: Progress) -> answers.Prepared:
        return self._first_start(request.flavor, lambda: self._prepare(request, progress))

    def rebuild(self, request: arguments.Rebuild, progress: Progress) -> answers.Prepared:
        return self._first_start(request.flavor, lambda: self._go_on(request, progress))

    def upgrade(self, request: arguments.Upgrade, progress: Progress) -> answers.Upgraded:
        try:
            self.rebuild(request, progress)
        except (CommandFailed, OSError):
            self._machine.up = False
            raise
        return answers.Upgraded(self._settings(), self._machine.engine.number)

    def _first_start(
        self, flavor: arguments.Flavor, bring_up: Callable[[], None]
    ) -> answers.Prepared:
        self._machine.failed = False
        self._machine.disk.flavor = self._machine.runs_for = flavor
        try:
            bring_up()
        except (CommandFailed, OSError):
            self._machine.failed = True
            raise
        self._machine.disk.prepared = True
        self._step(STATEMENT_SECONDS)
        return answers.Prepared("healthy")

    def _go_on(self, request: arguments.Rebuild, progress: Progress) -> None:
        progress("attaching the volume")
        self._step(ATTACH_SECONDS)
        if not self._formatted().formatted:
            raise GuestError("the volume holds no MariaDB data directory, and none is made")
        self._require(request.number)
        progress("starting the database")
        self._start()
        progress("securing root")
        self._step(STATEMENT_SECONDS)

    def _require(self, number: str) -> None:
        """Refuse data to an engine of another version than the one that was asked for."""
        engine, wanted = numbers_of(self._machine.engine.number), numbers_of(number)
        if engine[: len(wanted)] != wanted:
            raise GuestError(
                f"the image's database is of version {self._machine.engine.number}, and was to be "
                f"of {number}; nothing was started"
            )

    def _prepare(self, request: arguments.Prepare, progress: Progress) -> None:
        for stage, shortest, longest in STAGES:
            progress(stage)
            self._step((shortest, longest))
        self._formatted().formatted = True
        self._run()
        progress("creating databases and users")
        for database in request.databases:
            _check_database_name(database.name)
            if database.name not in self._contents().databases:
                self._write(self._contents().with_database(database.name, _database(database)))
        for user in request.users:
            _check_user_name(user.name)
            self._write(self._contents().with_user(_account(user.name, user.host), _user(user)))
        if request.root_password is not None:
            self._write(self._contents().with_root(request.root_password))

    def restart(self, request: arguments.Nothing) -> answers.Done:
        with self._while_it_is(Status.RESTARTING):
            self._require_prepared()
            self._machine.given_up = False
            disk = self._machine.disk
            disk.stopped, disk.at_boot, disk.next_flavor = False, True, None
            self._stop()
            self._start()
        return answers.Done()

    def stop_db(self, request: arguments.StopDatabase) -> answers.Done:
        with self._while_it_is(Status.SHUTDOWN):
            self._require_prepared()
            disk = self._machine.disk
            disk.stopped, disk.at_boot = True, not request.do_not_start_on_reboot
            disk.next_flavor = request.flavor
            self._machine.stopped_at = aws.monotonic()
            self._stop()
        return answers.Done()

    def start_db_with_conf_changes(self, request: arguments.StartForFlavor) -> answers.Configured:
        machine, wanted = self._machine, request.flavor
        with self._while_it_is(Status.RESTARTING):
            self._require_prepared()
            machine.given_up = False
            machine.disk.stopped, machine.disk.at_boot = False, True
            machine.disk.flavor, machine.disk.next_flavor = wanted, None
            if not machine.up or machine.stuck or machine.runs_for != wanted:
                self._stop()
                self._start()
        return answers.Configured(self._settings())

    def _settings(self) -> dict[str, int]:
        size = self._machine.runs_for
        pool = configuration.buffer_pool_mib(size) * 1024**2
        most = configuration.max_connections(size)
        return {"innodb_buffer_pool_size": pool, "max_connections": most}

    def resize_fs(self, request: arguments.ResizeFileSystem) -> answers.Done:
        self._require_prepared()
        volume = self._formatted()
        if volume.size_gib < request.size:
            raise GuestError(
                f"the volume has {volume.size_gib} GiB, and was to have {request.size}"
            )
        self._step(GROW_SECONDS)

        def grow() -> None:
            volume.file_system_gib = volume.size_gib
            self._machine.disk.full = False

        self._perform("grow", grow)
        return answers.Done()

    def list_databases(self, request: arguments.Page) -> answers.DatabasePage:
        shown, more = _page(self._read().databases, request, lambda name: name)
        rows = [values.Database(name, each.character_set, each.collate) for name, each in shown]
        return answers.DatabasePage(rows, more)

    def create_database(self, request: arguments.CreateDatabases) -> answers.Done:
        contents = self._read()
        for place, database in enumerate(request.databases):
            _check_database_name(database.name)
            if any(database.name == other.name for other in request.databases[:place]):
                raise BadRequest(f"the database {database.name!r} is named twice")
            if database.name in contents.databases:
                raise DatabaseAlreadyExists(f"there is a database {database.name!r}")
        for database in request.databases:
            self._write(self._read().with_database(database.name, _database(database)))
        return answers.Done()

    def delete_database(self, request: arguments.DeleteDatabase) -> answers.Done:
        _check_database_name(request.database.name)
        self._step(DROP_SECONDS)
        self._find_database(self._read(), request.database.name)
        self._write(self._contents().without_database(request.database.name))
        return answers.Done()

    def list_users(self, request: arguments.Page) -> answers.UserPage:
        shown, more = _page(self._read().users, request, "@".join)
        return answers.UserPage([_view(account, user) for account, user in shown], more)

    def get_user(self, request: arguments.Account) -> answers.OneUser:
        account = _account(request.username, request.hostname)
        return answers.OneUser(_view(account, _find_user(self._read(), account)))

    def create_user(self, request: arguments.CreateUsers) -> answers.Done:
        contents = self._read()
        accounts = [_account(user.name, user.host) for user in request.users]
        for place, user in enumerate(request.users):
            _check_user_name(user.name)
            for database in user.databases:
                self._find_database(contents, database.name)
            if accounts[place] in accounts[:place]:
                raise BadRequest(f"the user {user.name!r} is named twice")
            _check_user_is_new(contents, accounts[place])
        for user in request.users:
            account = _account(user.name, user.host)
            contents = self._read()
            _check_user_is_new(contents, account)
            self._write(contents.with_user(account, _user(user)))
        return answers.Done()

    def delete_user(self, request: arguments.DeleteUser) -> answers.Done:
        _check_user_name(request.user.name)
        account = _account(request.user.name, request.user.host)
        contents = self._read()
        _find_user(contents, account)
        self._write(contents.without_user(account))
        return answers.Done()

    def change_passwords(self, request: arguments.ChangePasswords) -> answers.Done:
        contents = self._read()
        for wanted in request.users:
            _find_user(contents, _account(wanted.name, wanted.host))
        for wanted in request.users:
            account = _account(wanted.name, wanted.host)
            contents = self._read()
            before = _find_user(contents, account)
            self._write(contents.with_user(account, User(wanted.password, before.grants)))
        return answers.Done()

    def update_attributes(self, request: arguments.UpdateAttributes) -> answers.Done:
        wanted, before = request.user_attrs, _account(request.username, request.hostname)
        contents = self._read()
        user = _find_user(contents, before)
        after = (wanted.name or before[0], _host(wanted.host) if wanted.host else before[1])
        if after != before:
            _check_user_name(after[0])
            _check_user_is_new(contents, after)
            contents = contents.without_user(before).with_user(after, user)
            self._write(contents)
        if wanted.password is not None:
            self._write(self._contents().with_user(after, User(wanted.password, user.grants)))
        return answers.Done()

    def list_access(self, request: arguments.Account) -> answers.Access:
        user = _find_user(self._read(), _account(request.username, request.hostname))
        return answers.Access([values.DatabaseName(name) for name in sorted(user.grants)])

    def grant_access(self, request: arguments.GrantAccess) -> answers.Done:
        account = _account(request.username, request.hostname)
        contents = self._read()
        _find_user(contents, account)
        for name in request.databases:
            self._find_database(contents, name)
        for name in request.databases:
            contents = self._read()
            before = _find_user(contents, account)
            self._write(contents.with_user(account, User(before.password, before.grants | {name})))
        return answers.Done()

    def revoke_access(self, request: arguments.RevokeAccess) -> answers.Done:
        account = _account(request.username, request.hostname)
        contents = self._read()
        before = contents.users.get(account)
        if before is None or request.database not in before.grants:
            raise DatabaseNotFound(
                f"{request.username!r} has no access to a database {request.database!r}"
            )
        after = User(before.password, before.grants - {request.database})
        self._write(contents.with_user(account, after))
        return answers.Done()

    def is_root_enabled(self, request: arguments.Nothing) -> answers.RootState:
        return answers.RootState(self._read().root_password is not None)

    def enable_root(self, request: arguments.EnableRoot) -> answers.Done:
        self._write(self._read().with_root(request.root_password))
        return answers.Done()

    def disable_root(self, request: arguments.Nothing) -> answers.Done:
        self._write(self._read().with_root(None))
        return answers.Done()

    # ----------------------------------------------------------------------- the server

    def _start(self, flavor: arguments.Flavor | None = None) -> None:
        self._step(START_SECONDS)
        if (volume := self._machine.volume) is not None:
            volume.file_system_gib = volume.size_gib
        self._check_space()
        self._run()
        self._machine.runs_for = flavor or self._machine.disk.flavor

    def _run(self) -> None:
        """Let the engine's process run, and write to the volume that it was there."""
        engine, volume = self._machine.engine, self._formatted()
        if not engine.starts:
            raise GuestError("the database ended with exit code 1, while it started")
        volume.touched_by = engine.number
        self._machine.up = True

    def _stop(self) -> None:
        self._step(STOP_SECONDS)
        self._machine.up = self._machine.stuck = False

    def _require_prepared(self) -> None:
        if not self._machine.disk.prepared:
            raise GuestError("the database is not prepared yet")

    @contextmanager
    def _while_it_is(self, passing: Status) -> Iterator[None]:
        """Move the process, alone: whoever moves it already ends first."""
        while self._machine.passing is not None:
            self._step(TURN_SECONDS)
        self._machine.passing = passing
        try:
            yield
        finally:
            self._machine.passing = None

    # --------------------------------------------------------------------- its contents

    def _step(self, seconds: tuple[float, float]) -> None:
        self._machine.here(self._life)
        self._machine.spend(seconds)
        self._machine.here(self._life)

    def _read(self) -> Contents:
        """The contents, after the time of a statement."""
        self._step(STATEMENT_SECONDS)
        return self._contents()

    def _contents(self) -> Contents:
        if not self._machine.up or self._machine.stuck:
            raise Unavailable("the database does not answer")
        if self._machine.disk.unreadable:
            raise OSError(errno.EIO, os.strerror(errno.EIO), DATA_FOLDER)
        return self._formatted().contents

    def _write(self, contents: Contents) -> None:
        """Commit; a guest may still die before it can say so."""
        self._check_space()
        volume = self._formatted()

        def commit() -> None:
            volume.contents = contents

        self._perform("commit", commit)
        self._step(STATEMENT_SECONDS)

    def _formatted(self) -> Volume:
        volume = self._machine.volume
        if volume is None:
            raise GuestError("there is no volume at the device of the data directory")
        return volume

    def _check_space(self) -> None:
        if self._machine.disk.full:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), DATA_FOLDER)

    @staticmethod
    def _find_database(contents: Contents, name: str) -> Database:
        found = contents.databases.get(name)
        if found is None or name.lower() in mariadb.RESERVED_DATABASES:
            raise DatabaseNotFound(f"there is no database {name!r}")
        return found


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


def _find_user(contents: Contents, account: Account) -> User:
    found = contents.users.get(account)
    if found is None or account[0] in RESERVED_USERS:
        raise UserNotFound(f"there is no user {account[0]!r} at {account[1]!r}")
    return found


def _check_user_is_new(contents: Contents, account: Account) -> None:
    if account in contents.users:
        raise UserAlreadyExists(f"there is a user {account[0]!r} at {account[1]!r}")


def _check_database_name(name: str) -> None:
    if name.lower() in mariadb.RESERVED_DATABASES:
        raise BadRequest(f"the database name {name!r} is reserved")


def _check_user_name(name: str) -> None:
    if name in RESERVED_USERS:
        raise BadRequest(f"the user name {name!r} is reserved")


def _database(wanted: values.Database) -> Database:
    default = Database()
    return Database(
        wanted.character_set or default.character_set, wanted.collate or default.collate
    )


def _user(wanted: arguments.User) -> User:
    return User(wanted.password, frozenset(database.name for database in wanted.databases))


def _account(name: str, host: str | None) -> Account:
    return name, _host(host)


def _host(host: str | None) -> str:
    return (host or values.ANY_HOST).lower()


def _view(account: Account, user: User) -> answers.UserShown:
    name, host = account
    return answers.UserShown(
        name, host, [values.DatabaseName(each) for each in sorted(user.grants)]
    )
