"""A server of each engine, moved by its manager in this process, and a customer of it."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final, NamedTuple, TypeVar

import pg8000.native
import pymysql

from chalicelib.service_status import ServiceStatus as Status
from guest_agent import birth, datastores
from guest_agent.manager import Manager
from tests.guest_agent.control_plane import wait_for
from tests.guest_agent.server import Server, prepare_args
from tests.support.loopback import free_address
from tests.support.postgresql import MAJOR

PASSWORD: Final = "first-secret"


class Refused(Exception):
    """What the engine says against what a customer wants."""


ENDED: Final = {Status.CRASHED, Status.FAILED, Status.BUILDING}


class Engine(NamedTuple):
    """An engine, and on how small a volume it lives."""

    manager: str
    version: str
    volume_mib: int


ENGINES: Final = (
    Engine("mariadb", "10.11", 256),
    Engine("postgresql", MAJOR, 160),
    Engine("redis", "7.0", 96),
)


class Customer:
    """Writes rows to a database, and reads how many there are."""

    def __init__(self, engine: Engine, server: Server) -> None:
        self.engine = engine
        self.server = server

    def begin(self) -> None:
        """Make what is written to."""
        self.ask("CREATE TABLE written (a INT)")

    def write(self) -> None:
        """One row; `Refused`."""
        self.ask("INSERT INTO written VALUES (1)", "INCR", "written")

    def rows(self) -> int:
        return int(self.ask("SELECT COUNT(*) FROM written", "GET", "written") or 0)

    def ask(self, statement: str, *words: str) -> Any:
        """The first value of the answer to a statement, or to a command's words; `Refused`."""
        match self.engine.manager:
            case "mariadb":
                return _mariadb(self.server.address, statement)
            case "postgresql":
                return _postgresql(self.server.address, statement)
            case _:
                return _redis(self.server.address, *words) if words else None


def first_start(engine: Engine) -> dict[str, Any]:
    """The arguments of `prepare` for a database with a customer."""
    order = {"manager": engine.manager, "version": engine.version}
    contents: dict[str, Any] = {}
    if engine.manager == "redis":
        contents = {"databases": [], "users": [], "root_password": PASSWORD}
    return prepare_args(datastore=order, **contents)


class Guest(Customer):
    """A prepared server that is moved by its manager in this process."""

    def __init__(self, engine: Engine, server: Server) -> None:
        super().__init__(engine, server)
        self.managers: list[Manager] = []
        self.renew_agent()
        self.manager.call("prepare", first_start(engine), lambda _: None)
        self.begin()

    @property
    def manager(self) -> Manager:
        """Of the agent that runs."""
        return self.managers[-1]

    def renew_agent(self) -> None:
        """As when it has died, or is of another release now."""
        self.managers.append(datastores.manager(birth.load(self.server.root)))

    def has_ended(self) -> bool:
        """Whether each of the agents knows that its database is gone."""
        return {each.condition().status for each in self.managers} <= ENDED

    def status(self) -> Status:
        return self.manager.condition().status

    def kill(self) -> None:
        pid = self.server.database()
        assert pid is not None
        os.kill(pid, signal.SIGKILL)
        wait_for(lambda: self.status() is Status.CRASHED)


def _mariadb(address: str, statement: str) -> Any:
    try:
        with (
            pymysql.connect(
                host=address, user="alice", password=PASSWORD, database="shop", autocommit=True
            ) as connection,
            connection.cursor() as cursor,
        ):
            cursor.execute(statement)
            return next(iter(cursor.fetchone() or ()), None)
    except pymysql.MySQLError as error:
        raise Refused(str(error)) from None


def _postgresql(address: str, statement: str) -> Any:
    connection = pg8000.native.Connection(
        "alice", host=address, password=PASSWORD, database="shop", ssl_context=False
    )
    try:
        return next((row[0] for row in connection.run(statement) or ()), None)
    except pg8000.native.DatabaseError as error:
        raise Refused(str(error)) from None
    finally:
        connection.close()


def _redis(address: str, *words: str) -> Any:
    done = subprocess.run(
        ["redis-cli", "-h", address, *words],
        env={"PATH": os.environ["PATH"], "REDISCLI_AUTH": PASSWORD},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    said = (done.stdout + done.stderr).strip()
    if not said.isdecimal() and said:
        raise Refused(said)
    return said


@contextmanager
def server_of(engine: Engine) -> Iterator[Server]:
    """A server without a database yet; ended with all that it runs."""
    server = Server(
        free_address(),
        "http://127.0.0.1:9",
        datastore_manager=engine.manager,
        datastore_version=engine.version,
    )
    try:
        yield server
    finally:
        server.close()


G = TypeVar("G", bound=Guest)


@contextmanager
def guest_on(engine: Engine, server: Server, kind: type[G]) -> Iterator[G]:
    """Its database, which is ended; `COFFER_SERVER_ID` is to be the server's."""
    made = None
    try:
        made = kind(engine, server)
        yield made
    finally:
        server.kill_everything()
        if made is not None:  # it is the parent, and takes note of the end
            wait_for(made.has_ended)
