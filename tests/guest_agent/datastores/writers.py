"""Customers who write as fast as they can, each by the client of its engine: rows that it makes
itself, where it can."""

from __future__ import annotations

import socket
import time
from abc import ABC, abstractmethod
from collections.abc import Callable
from contextlib import suppress
from typing import Any, Final, NamedTuple

import pg8000.native
import pymysql
import redis

MIB: Final = 1024**2
LONGEST_SECONDS: Final = 120.0
"""For any small volume; a loaded machine is no failure."""


class Refused(Exception):
    """What the engine says to the customer: the connection is whole, and nothing was written."""


class PutOut(Exception):
    """The customer's connection has been ended, or none is to be had."""


class Writer(ABC):
    """Writes rows of a MiB by one connection, which is made anew when it is lost."""

    SAYS: str
    """What a write is refused with while the volume is full."""

    def __init__(self, address: str, user: str, password: str, database: str) -> None:
        self._login = (address, user, password, database)
        self._open: Any = None

    @abstractmethod
    def _connect(self, address: str, user: str, password: str, database: str) -> Any:
        """A connection."""

    @abstractmethod
    def _ask(self, connection: Any, what: str) -> Any:
        """Make what is written to ("make"), "write", "count", or "drop" all rows."""

    def make(self) -> None:
        self._do("make")

    def write(self) -> None:
        """One row; `Refused`, `PutOut`."""
        self._do("write")

    def rows(self) -> int:
        return int(self._do("count"))

    def drop(self) -> None:
        """Throw away what was written."""
        self._do("drop")

    def close(self) -> None:
        """Whether or not the other side has gone already."""
        if self._open is not None:
            with suppress(Exception):
                self._open.close()
        self._open = None

    def _do(self, what: str) -> Any:
        try:
            if self._open is None:
                self._open = self._connect(*self._login)
            return self._ask(self._open, what)
        except PutOut:
            self.close()
            raise


class MariaDBWriter(Writer):
    SAYS = "read-only"
    _STATEMENTS: Final = {
        "make": "CREATE TABLE IF NOT EXISTS big (id INT AUTO_INCREMENT PRIMARY KEY, b LONGBLOB)",
        "write": f"INSERT INTO big (b) VALUES (REPEAT('x', {MIB}))",
        "count": "SELECT COUNT(*) FROM big",
        "drop": "TRUNCATE big",
    }

    def _connect(self, address: str, user: str, password: str, database: str) -> Any:
        try:
            return pymysql.connect(
                host=address, user=user, password=password, database=database, autocommit=True
            )
        except pymysql.MySQLError as error:
            raise PutOut(str(error)) from None

    def _ask(self, connection: Any, what: str) -> Any:
        try:
            with connection.cursor() as cursor:
                cursor.execute(self._STATEMENTS[what])
                return next(iter(cursor.fetchone() or ()), None)
        except pymysql.MySQLError as error:
            raise (Refused if connection.open else PutOut)(str(error)) from None


class PostgreSQLWriter(Writer):
    SAYS = "read-only"
    _STATEMENTS: Final = {
        "make": "CREATE TABLE IF NOT EXISTS big (id serial PRIMARY KEY, b text);"
        " ALTER TABLE big ALTER b SET STORAGE EXTERNAL",
        "write": f"INSERT INTO big (b) VALUES (repeat('x', {MIB}))",
        "count": "SELECT count(*) FROM big",
        "drop": "TRUNCATE big",
    }
    _ENDED: Final = ("57P01", "57P03", "53300")
    """Put out by an administrator, starting or stopping, and no connection left."""

    def _connect(self, address: str, user: str, password: str, database: str) -> Any:
        plain = None
        try:
            plain = socket.create_connection((address, 5432))
            return pg8000.native.Connection(
                user, sock=plain, password=password, database=database, ssl_context=False
            )
        except (pg8000.exceptions.Error, OSError) as error:
            if plain is not None:
                plain.close()
            raise PutOut(str(error)) from None

    def _ask(self, connection: Any, what: str) -> Any:
        try:
            return next((row[0] for row in connection.run(self._STATEMENTS[what]) or ()), None)
        except pg8000.native.DatabaseError as error:
            told = error.args[0]
            raise (PutOut if told.get("C") in self._ENDED else Refused)(told.get("M")) from None
        except (pg8000.exceptions.Error, OSError) as error:
            raise PutOut(str(error)) from None


class RedisWriter(Writer):
    SAYS = "NOREPLICAS"

    def _connect(self, address: str, user: str, password: str, database: str) -> Any:
        return redis.Redis(host=address, username=user, password=password)

    def _ask(self, connection: Any, what: str) -> Any:
        try:
            match what:
                case "make":
                    return connection.ping()
                case "write":
                    return connection.rpush("big", bytes(MIB))
                case "count":
                    return connection.llen("big")
                case _:
                    return connection.delete("big")
        except redis.ConnectionError as error:
            raise PutOut(str(error)) from None
        except redis.RedisError as error:
            raise Refused(str(error)) from None


WRITERS: Final[dict[str, type[Writer]]] = {
    "mariadb": MariaDBWriter,
    "postgresql": PostgreSQLWriter,
    "redis": RedisWriter,
}


class Filled(NamedTuple):
    """How it went: rows that were written, seconds, what was said at last, and how often the
    connection was lost before."""

    rows: int
    seconds: float
    said: str
    put_out: int


def write_until_refused(writer: Writer, until: Callable[[str], bool], pause: float = 0.0) -> Filled:
    """Write until the engine says no in words that are waited for; fails past the bound.

    With a `pause` behind each row the agent has its looks even where it gets hardly any processor.
    """
    began, rows, put_out = time.monotonic(), 0, 0
    others: dict[str, int] = {}
    while (seconds := time.monotonic() - began) < LONGEST_SECONDS:
        try:
            writer.write()
            rows += 1
            time.sleep(pause)
        except Refused as refused:
            if until(str(refused)):
                return Filled(rows, seconds, str(refused), put_out)
            others[str(refused)] = others.get(str(refused), 0) + 1
        except PutOut as ended:
            put_out += 1
            others[str(ended)] = others.get(str(ended), 0) + 1
            time.sleep(0.05)
    raise AssertionError(f"{rows} rows in {LONGEST_SECONDS:.0f} s; {others}")
