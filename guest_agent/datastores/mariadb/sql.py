"""Sessions with the server: by the local socket to secure it, over TCP as os_admin for all else.

Every name is data: identifiers and literals are quoted here, and nowhere else. Passwords are hashed
before they become part of a statement, so that no log of the server ever shows one.
"""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import pymysql
from pymysql.connections import Connection
from pymysql.constants import CR, ER

from guest_agent.datastores.mariadb.configuration import PORT
from guest_agent.datastores.mariadb.layout import SOCKET
from guest_agent.errors import (
    BadRequest,
    CommandFailed,
    DatabaseAlreadyExists,
    DatabaseNotFound,
    GuestError,
)

ADMIN: Final = "os_admin"
CONNECT_SECONDS: Final = 5
PROBE_SECONDS: Final = 3
ANSWER_SECONDS: Final = 15  # below the 20 s that a synchronous call may take
_ILLEGAL_STRING: Final = 1300
_TOO_LONG_STRING: Final = 1470
_OURS: Final[dict[int, type[CommandFailed]]] = {
    ER.DB_CREATE_EXISTS: DatabaseAlreadyExists,
    ER.DB_DROP_EXISTS: DatabaseNotFound,
    ER.BAD_DB_ERROR: DatabaseNotFound,
    ER.WRONG_DB_NAME: BadRequest,
    ER.TOO_LONG_IDENT: BadRequest,
    ER.UNKNOWN_CHARACTER_SET: BadRequest,
    ER.UNKNOWN_COLLATION: BadRequest,
    ER.COLLATION_CHARSET_MISMATCH: BadRequest,
    ER.DATA_TOO_LONG: BadRequest,
    ER.TRUNCATED_WRONG_VALUE_FOR_FIELD: BadRequest,
    _ILLEGAL_STRING: BadRequest,
    _TOO_LONG_STRING: BadRequest,
}
_SILENT: Final = frozenset({CR.CR_CONNECTION_ERROR, CR.CR_CONN_HOST_ERROR, CR.CR_SERVER_LOST})


def identifier(name: str) -> str:
    """A quoted identifier."""
    if not name or "\0" in name:
        raise BadRequest("a name must not be empty or hold a zero character")
    return "`" + name.replace("`", "``") + "`"


def pattern(name: str) -> str:
    """A database name where the server reads a pattern (in GRANT): it then matches itself only."""
    return re.sub(r"([\\%_])", r"\\\1", name)


def from_pattern(stored: str) -> str:
    """The name behind a pattern in the grant tables."""
    return re.sub(r"\\(.)", r"\1", stored, flags=re.DOTALL)


class Session:
    """An open connection that turns the server's errors into the contract's."""

    def __init__(self, connection: Connection[Any]) -> None:
        self._connection = connection

    def literal(self, value: str) -> str:
        """A quoted string literal."""
        return str(self._connection.escape(value))

    def account(self, name: str, host: str) -> str:
        """`'name'@'host'`."""
        return f"{self.literal(name)}@{self.literal(host)}"

    def password(self, plain: str) -> str:
        """The clause that sets a password, from its hash (mysql_native_password: SHA1 twice)."""
        if not plain:
            raise BadRequest("a password must not be empty")
        once = hashlib.sha1(plain.encode()).digest()  # noqa: S324 - the server's own format
        twice = hashlib.sha1(once).hexdigest().upper()  # noqa: S324
        return f"IDENTIFIED BY PASSWORD '*{twice}'"

    def run(self, statement: str) -> None:
        """Execute a statement whose names are quoted already."""
        with errors_as_ours(), self._connection.cursor() as cursor:
            cursor.execute(statement)

    def rows(self, query: str, *values: object) -> list[tuple[Any, ...]]:
        """The rows of a query with `%s` for each value."""
        with errors_as_ours(), self._connection.cursor() as cursor:
            cursor.execute(query, values or None)
            return list(cursor.fetchall())


@contextmanager
def over_tcp(address: str, password: str) -> Iterator[Session]:
    """A session of os_admin at the server's own address, from that address."""
    with errors_as_ours():
        connection = _connect(address, password, ANSWER_SECONDS)
    with connection:
        yield Session(connection)


class Probe:
    """Asks a server whether it answers, over one connection for as long as it lasts."""

    def __init__(self, address: str, password: Callable[[], str]) -> None:
        self._address = address
        self._password = password
        self._connection: Connection[Any] | None = None

    def answers(self) -> bool:
        """One round trip, or a new connection when the old one is gone."""
        try:
            if self._connection is None:
                self._connection = _connect(self._address, self._password(), PROBE_SECONDS)
            with self._connection.cursor() as cursor:
                return bool(cursor.execute("SELECT 1"))
        except pymysql.MySQLError:
            if self._connection is not None and self._connection.open:
                self._connection.close()
            self._connection = None
            return False


@contextmanager
def by_socket(data: Path, user: str) -> Iterator[Session]:
    """A session of the agent's own operating system user by the socket in the data directory.

    The way through /proc keeps the path below the 107 bytes that a socket address holds.
    """
    folder = os.open(data, os.O_RDONLY | os.O_DIRECTORY)
    try:
        with errors_as_ours():
            connection = pymysql.connect(
                unix_socket=f"/proc/self/fd/{folder}/{SOCKET}", user=user, **_options()
            )
    finally:
        os.close(folder)
    with connection:
        yield Session(connection)


def _connect(address: str, password: str, seconds: int) -> Connection[Any]:
    return pymysql.connect(
        host=address,
        port=PORT,
        user=ADMIN,
        password=password,
        bind_address=address,
        **_options(seconds),
    )


def _options(seconds: int = ANSWER_SECONDS) -> dict[str, Any]:
    return {
        "charset": "utf8mb4",
        "autocommit": True,
        "connect_timeout": min(CONNECT_SECONDS, seconds),
        "read_timeout": seconds,
        "write_timeout": seconds,
        # A too long name is an error, whatever mode the user has chosen for the server.
        "sql_mode": "STRICT_ALL_TABLES",
        "init_command": "SET SESSION lock_wait_timeout = 10",
    }


@contextmanager
def errors_as_ours() -> Iterator[None]:
    """Name the server's refusals; statements themselves are never quoted."""
    try:
        yield
    except pymysql.MySQLError as error:
        code = error.args[0] if error.args and isinstance(error.args[0], int) else 0
        if code in _SILENT:
            raise GuestError(f"the database does not answer (error {code})") from None
        text = str(error.args[1]) if len(error.args) > 1 and code != ER.PARSE_ERROR else "refused"
        raise _OURS.get(code, GuestError)(f"{text} (error {code})") from None
