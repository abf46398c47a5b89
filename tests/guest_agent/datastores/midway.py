"""Backups that are held in their middle, so that something can happen to them there."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import pytest

from chalicelib import aws
from guest_agent.backups import writer
from guest_agent.backups.s3 import S3Store
from guest_agent.backups.store import Store
from guest_agent.clock import ServiceClock
from guest_agent.datastores.redis.manager import RedisManager
from guest_agent.enrolment import Reply
from guest_agent.manager import Manager
from tests.guest_agent.backups.objects import ONE, SLOW, refusal
from tests.guest_agent.control_plane import WAIT_SECONDS, wait_for
from tests.guest_agent.datastores.customer import Guest
from tests.guest_agent.datastores.test_backups import Asked, Backups
from tests.guest_agent.server import Server

SMALL_PART: Final = 64 * 1024
ORDER: Final = {"id": ONE, "location": f"tenant/{ONE}"}
BALLAST: Final = (
    "CREATE TABLE IF NOT EXISTS ballast AS SELECT RANDOM_BYTES(1024) AS a FROM seq_1_to_8192"
)
"""More than a pipe and a part hold: the zeros that InnoDB begins with all fit into them, and a tool
could end."""
SAVE_DELAY: Final = 5_000_000
"""Microseconds for each key: so long a child of Redis is at work at least."""
_TOOLS: Final = ("/usr/bin/mariadb-backup", "setpriv")
A_MINUTE_AWAY: Final = [SLOW] * 12
"""Answers of a store that is away for a minute, by the pauses between the calls."""
TROUBLES: Final[list[Reply | str | None]] = [
    *A_MINUTE_AWAY,
    *("cut", "lost", refusal(400, "XAmzContentSHA256Mismatch"), "cut"),
]


class Hurried(threading.Event):
    """Of somebody who waits for nothing: what is tried again is tried at once."""

    def __init__(self, stop: aws.Event) -> None:
        super().__init__()
        self._stop = stop

    def is_set(self) -> bool:
        return self._stop.is_set()

    def wait(self, timeout: float | None = None) -> bool:
        return self.is_set()


class Gate:
    """A store that somebody has `reached`, and that answers once it may `go`."""

    def __init__(self, backups: Backups) -> None:
        self._backups = backups
        self.reached, self.go = threading.Event(), threading.Event()

    def open(self, _: str, stop: aws.Event) -> Store:
        return S3Store(self._backups.lender.ask, ServiceClock(), stop, self._send)

    def _send(
        self, method: str, url: str, body: bytes | None, headers: dict[str, str]
    ) -> Reply | None:
        self.reached.set()
        assert self.go.wait(WAIT_SECONDS)
        return self._backups.objects(method, url, body, headers)


def workers(guest: Guest) -> list[int]:
    """The processes that make a copy: the engine's tool, or a child of the database."""
    if guest.engine.manager != "redis":
        return tools(guest.server)
    pid = guest.server.database()
    children = Path(f"/proc/{pid}/task/{pid}/children")
    return [int(each) for each in children.read_text().split()] if children.exists() else []


def tools(server: Server) -> list[int]:
    found = server.processes().items()
    return [pid for pid, line in found if line.startswith(_TOOLS) or "/pg_basebackup " in line]


@contextmanager
def begun(guest: Guest, backups: Backups, patch: pytest.MonkeyPatch) -> Iterator[Asked]:
    """A backup whose worker is at work, and goes on when this is left."""
    patch.setattr(writer, "PART_BYTES", SMALL_PART)
    gate, manager = Gate(backups), guest.manager
    manager.open_store = gate.open
    _delay(guest, SAVE_DELAY)
    if guest.engine.manager == "mariadb":
        guest.ask(BALLAST)
    try:
        asked = Asked(manager, "create_backup", dict(ORDER))
        if guest.engine.manager != "redis":
            wait_for(gate.reached.is_set)
        wait_for(lambda: workers(guest))
        yield asked
    finally:
        gate.go.set()
        asked.error()
        if guest.server.database() is not None:
            _delay(guest, 0)
        backups.connect(manager)


def _delay(guest: Guest, microseconds: int) -> None:
    if isinstance(guest.manager, RedisManager):
        with guest.manager._session() as session:
            session.ask("CONFIG", "SET", "rdb-key-save-delay", str(microseconds))


def hurried(backups: Backups) -> Callable[[Manager], None]:
    """Connects a manager to the store of backups, so that it tries again without a pause."""

    def connect(manager: Manager) -> None:
        manager.open_store = lambda _, stop: backups.lender.store(Hurried(stop))

    return connect
