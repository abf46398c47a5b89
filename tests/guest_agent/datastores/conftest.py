"""Real servers: one for each test that breaks it, one shared by those that only ask."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pymysql
import pytest
from pymysql.connections import Connection

from chalicelib.bus.envelope import Envelope
from guest_agent.config import AgentFile, GuestConfig
from guest_agent.datastores.mariadb.layout import SOCKET
from guest_agent.datastores.os_user import agent_account
from guest_agent.datastores.postgresql import server
from infra.parameters import engines
from tests.guest_agent.control_plane import ControlPlane
from tests.guest_agent.server import Server, ask_prepare
from tests.support import mysql, postgresql
from tests.support.loopback import free_address

collect_ignore = [] if mysql.IS_HERE else ["test_mysql.py"]
"""What needs a server that no stable Debian has: `make test-mysql`."""
PASSWORD = "first-secret"  # of alice, whom prepare makes


def config(root: Path, manager: str = "mariadb", version: str = "") -> GuestConfig:
    """What an agent knows of a server without one."""
    agent = AgentFile("i", 1, "http://127.0.0.1", "t", manager, version, "us-east-1")
    return GuestConfig(root, agent, "server-1", "127.0.0.1")


class Guest(NamedTuple):
    """A server with its agent, and the control plane it talks to."""

    server: Server
    control: ControlPlane

    def login(
        self, user: str = "alice", password: str = PASSWORD, database: str | None = None
    ) -> Connection[Any]:
        """A customer's connection."""
        return pymysql.connect(
            host=self.server.address,
            user=user,
            password=password,
            database=database,
            charset="utf8mb4",
            autocommit=True,
            connect_timeout=5,
        )

    def rows(self, statement: str, **login: Any) -> list[tuple[Any, ...]]:
        """What a customer reads."""
        with self.login(**login) as connection, connection.cursor() as cursor:
            cursor.execute(statement)
            return list(cursor.fetchall())

    def as_agent(self, statement: str) -> list[tuple[Any, ...]]:
        """What the operating system's superuser reads by the socket."""
        data = self.server.volume / "data"
        connection = pymysql.connect(unix_socket=str(data / SOCKET), user=agent_account())
        with connection, connection.cursor() as cursor:
            cursor.execute(statement)
            return list(cursor.fetchall())

    def events(self) -> list[tuple[str, str]]:
        """What was told of the database's own life: kind and text."""
        told = [beat.result or {} for beat in self.control.reports() if beat.kind == "event"]
        return [(each["kind"], each["text"]) for each in told]

    def ask(self, method: str, args: dict[str, Any] | None = None) -> dict[str, Any]:
        """The result of a command that must succeed."""
        answer = self.control.ask(method, args)
        assert answer.error is None, answer.error
        assert answer.result is not None
        return answer.result

    def refusal(self, method: str, args: dict[str, Any] | None = None) -> tuple[str, str]:
        """Code and message of a command that must fail."""
        answer = self.control.ask(method, args)
        assert answer.error is not None, answer.result
        return answer.error.code, answer.error.message

    def prepare(self) -> Envelope:
        """Bring the database up."""
        command_id = ask_prepare(self.control)
        self.server.start_agent()
        answer = self.control.answer(command_id)
        assert answer.error is None, answer.error
        return answer

    def statuses(self) -> list[str]:
        """What the heartbeats said, oldest first."""
        return [(beat.result or {})["status"] for beat in self.control.reports("heartbeats")]

    def close(self) -> None:
        self.server.close()
        self.control.close()


def _make(**agent_file: Any) -> Guest:
    control = ControlPlane()
    return Guest(Server(free_address(), control.url, **agent_file), control)


@pytest.fixture
def make_guest() -> Iterator[Callable[..., Guest]]:
    """Servers of the test's own; keyword arguments go into the agent's file."""
    made: list[Guest] = []

    def make(**agent_file: Any) -> Guest:
        made.append(_make(**agent_file))
        return made[-1]

    yield make
    for guest in made:
        guest.close()


@pytest.fixture
def guest(make_guest: Callable[..., Guest]) -> Guest:
    """A server of the test's own, its agent not started."""
    return make_guest()


@pytest.fixture(scope="session")
def shared() -> Iterator[Guest]:
    """A prepared server for tests that clean up after themselves."""
    made = _make()
    try:
        made.prepare()
        yield made
    finally:
        made.close()


@pytest.fixture(scope="session", autouse=True)
def _installed() -> Iterator[None]:
    """PostgreSQL's programs are where those of the major version that is tested are."""
    with pytest.MonkeyPatch.context() as patch:
        place = engines.postgresql(postgresql.MAJOR)
        assert place is not None, f"there is no PostgreSQL {postgresql.MAJOR}: make test-postgresql"
        patch.setattr(server, "INSTALLED", place)
        yield
