"""A customer who commits numbered rows, each with its sum, as fast as the database takes them."""

from __future__ import annotations

import contextlib
import hashlib
import math
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Final

import pg8000.native
import pymysql
import redis

from chalicelib.domain.archives import told_apart
from tests.guest_agent.control_plane import wait_for
from tests.guest_agent.datastores.customer import PASSWORD, Guest

FIRST_ROWS: Final = 30
TABLE: Final = "CREATE TABLE numbered (n INT PRIMARY KEY, sum CHAR(64))"
INSERT: Final = "INSERT INTO numbered VALUES ({}, '{}')"
POSITION: Final = {
    "mariadb": "SELECT @@last_gtid",
    "postgresql": "SELECT pg_current_wal_insert_lsn()::text",
}
SELECT: Final = "SELECT n, sum FROM numbered ORDER BY n"


def sum_of(number: int) -> str:
    return hashlib.sha256(b"%d" % number).hexdigest()


def now_ms() -> float:
    """By the clock that the databases have, too."""
    return time.time() * 1000


class Numbering:
    """`committed` is the highest number whose row was answered; those above may be there.

    `times` has for each the moments before and after its commit, in milliseconds, `positions` the
    place in the log behind it, when it is asked for.
    """

    def __init__(self, guest: Guest, *, positions: bool = False) -> None:
        self._guest, self._ask_positions = guest, positions
        self.positions: list[str] = []
        self.committed = 0
        self.times: list[tuple[float, float]] = []
        self._error: Exception | None = None
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def start(self) -> None:
        with _session(self._guest) as ask:
            ask(TABLE)
        self._thread.start()
        self.more(FIRST_ROWS)

    def more(self, rows: int) -> None:
        """Wait until so many more were committed."""
        until = self.committed + rows
        wait_for(lambda: self.committed >= until or self._error)
        assert self._error is None, self._error

    def moment(self) -> int:
        """The first from now on that the engine's log tells apart, once a row was begun later."""
        moment = told_apart(math.ceil(now_ms()), self._guest.engine.manager, later=True)
        self.more(1)
        wait_for(lambda: self._error or self.times[-1][0] > moment)
        assert self._error is None, self._error
        return moment

    def up_to(self, moment_ms: float, within_ms: float = 0) -> tuple[int, int]:
        """The least and the most rows of what was committed up to then, for a log whose times are
        of so many milliseconds."""
        least = sum(after <= moment_ms for _, after in self.times)
        return least, sum(before < moment_ms + within_ms for before, _ in self.times)

    def end(self) -> None:
        self._ended.set()
        self._thread.join()

    def _run(self) -> None:
        try:
            with _session(self._guest) as ask:
                while not self._ended.is_set():
                    began = now_ms()
                    ask(INSERT.format(self.committed + 1, sum_of(self.committed + 1)))
                    self.times.append((began, now_ms()))
                    if self._ask_positions:
                        ((position,),) = ask(POSITION[self._guest.engine.manager])
                        self.positions.append(str(position))
                    self.committed += 1
        except Exception as error:  # noqa: BLE001 - told to who waits
            self._error = error


@contextmanager
def numbering(guest: Guest, *, positions: bool = False) -> Iterator[Numbering]:
    made = Numbering(guest, positions=positions)
    made.start()
    try:
        yield made
    finally:
        made.end()


def held(guest: Guest) -> int:
    """How many rows there are: those of the first numbers, without a gap, each with its sum."""
    with _session(guest) as ask:
        rows = [(int(number), str(told)) for number, told in ask(SELECT)]
    assert rows == [(number, sum_of(number)) for number in range(1, len(rows) + 1)]
    return len(rows)


Ask = Callable[[str], list[Any]]


@contextmanager
def _session(guest: Guest) -> Iterator[Ask]:
    address = guest.server.address
    match guest.engine.manager:
        case "mariadb":
            with (
                pymysql.connect(
                    host=address, user="alice", password=PASSWORD, database="shop", autocommit=True
                ) as connection,
                connection.cursor() as cursor,
            ):

                def mariadb(statement: str) -> list[Any]:
                    cursor.execute(statement)
                    return list(cursor.fetchall())

                yield mariadb
        case "postgresql":
            made = pg8000.native.Connection(
                "alice", host=address, password=PASSWORD, database="shop", ssl_context=False
            )
            with contextlib.closing(made):
                yield lambda statement: list(made.run(statement) or ())
        case _:
            with redis.Redis(address, password=PASSWORD, decode_responses=True) as client:

                def as_hash(statement: str) -> list[Any]:
                    if statement == SELECT:
                        found: dict[str, str] = client.hgetall("numbered")
                        return sorted(found.items(), key=lambda each: int(each[0]))
                    if statement != TABLE:
                        number, told = statement.split("(")[1].split(",")
                        client.hset("numbered", number, told.strip(" ')"))
                    return []

                yield as_hash
