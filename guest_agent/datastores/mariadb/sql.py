"""Sessions with MariaDB, in its words.

Every name is data: identifiers and literals are quoted here, and nowhere else. Passwords are hashed
before they become part of a statement, so that no log of the server ever shows one.
"""

from __future__ import annotations

import hashlib
import logging
import re
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, ClassVar, Final, TypeVar

import pymysql
from pymysql.connections import Connection
from pymysql.constants import CR, ER
from pymysql.cursors import DictCursor

from guest_agent.bounded_socket import BoundedSocket, TooMuch
from guest_agent.datastores import session
from guest_agent.datastores.mariadb.layout import SOCKET
from guest_agent.datastores.session import CLOSE_SECONDS, LOCK_SECONDS, MOST_ROWS, LockedOut
from guest_agent.errors import (
    BadRequest,
    CommandFailed,
    DatabaseAlreadyExists,
    DatabaseNotFound,
    GuestError,
    Unavailable,
    where,
)

LONGEST_NAME: Final = 64  # characters of a database
LONGEST_USER_NAME: Final = 128
_LAST_OF_PLANE: Final = "\uffff"
_TOO_LONG_STRING: Final = 1470
_LONE_ACCESS_DENIED: Final = 1698
_ACCOUNT_LOCKED: Final = (4151, 3118)  # MariaDB's, and MySQL's, which has other numbers there
_STATEMENT_TIMEOUT: Final = (1969, 3024)

_NO_SUCH_CHARACTER: Final = (BadRequest, "nothing here has such a character in its name")
_OURS: Final[dict[int, tuple[type[CommandFailed], str]]] = {
    ER.DB_CREATE_EXISTS: (DatabaseAlreadyExists, "there is a database of that name"),
    ER.DB_DROP_EXISTS: (DatabaseNotFound, "there is no database of that name"),
    ER.BAD_DB_ERROR: (DatabaseNotFound, "there is no database of that name"),
    ER.WRONG_DB_NAME: (BadRequest, "the database cannot have that name"),
    ER.TOO_LONG_IDENT: (BadRequest, "the name is too long"),
    ER.DATA_TOO_LONG: (BadRequest, "the name is too long"),
    _TOO_LONG_STRING: (BadRequest, "the name is too long"),
    # Its own tables are asked for a character that they have no room for, by one column or more.
    ER.CANT_AGGREGATE_2COLLATIONS: _NO_SUCH_CHARACTER,
    ER.CANT_AGGREGATE_3COLLATIONS: _NO_SUCH_CHARACTER,
    ER.CANT_AGGREGATE_NCOLLATIONS: _NO_SUCH_CHARACTER,
    ER.UNKNOWN_CHARACTER_SET: (BadRequest, "there is no such character set"),
    ER.UNKNOWN_COLLATION: (BadRequest, "there is no such collation"),
    ER.COLLATION_CHARSET_MISMATCH: (BadRequest, "the collation is of another character set"),
    ER.LOCK_WAIT_TIMEOUT: (Unavailable, "other sessions hold locks on what the call would change"),
    ER.CON_COUNT_ERROR: (Unavailable, "all connections of the database are in use"),
    **dict.fromkeys(_STATEMENT_TIMEOUT, (Unavailable, "the database took too long to find it")),
    ER.DISK_FULL: (Unavailable, "the volume is full"),
    ER.RECORD_FILE_FULL: (Unavailable, "the volume is full"),
}
_SILENT: Final = frozenset({CR.CR_CONNECTION_ERROR, CR.CR_CONN_HOST_ERROR, CR.CR_SERVER_GONE_ERROR})
_LOCKED_OUT: Final = frozenset({ER.ACCESS_DENIED_ERROR, _LONE_ACCESS_DENIED, *_ACCOUNT_LOCKED})
_log = logging.getLogger(__name__)


def identifier(name: str) -> str:
    """A quoted identifier."""
    if not name or "\0" in name:
        raise BadRequest("a name must not be empty or hold a zero character")
    return "`" + name.replace("`", "``") + "`"


def check_text(name: str, longest: int) -> None:
    """`BadRequest` for a name that the server's own tables cannot hold."""
    identifier(name)
    if len(name) > longest:
        raise BadRequest(f"a name of {len(name)} characters is too long; {longest} are allowed")
    if max(name) > _LAST_OF_PLANE:
        raise BadRequest(f"the name {name!r} holds a character that the server cannot store")
    if name.endswith(" "):  # the server's tables drop it, and of " " nobody is left: everybody
        raise BadRequest(f"the name {name!r} ends with a space, which the server does not store")


def pattern(name: str) -> str:
    """A database name where the server reads a pattern (in GRANT): it then matches itself only."""
    return re.sub(r"([\\%_])", r"\\\1", name)


def from_pattern(stored: str) -> str:
    """The name behind a pattern in the grant tables."""
    return re.sub(r"\\(.)", r"\1", stored, flags=re.DOTALL)


class Session(session.Session):
    """A connection to MariaDB, and what its words are: MySQL has some others."""

    SOCKET: ClassVar = SOCKET
    NOT_CHOSEN: ClassVar = (
        "max_statement_time = 0, sql_big_selects = 1, wait_timeout = 28800, max_sort_length = 8192"
    )
    """What a customer may choose for its own sessions keeps the agent from nothing. Names are
    sorted by all of their bytes, or a page leaves some out."""
    NO_ROLE: ClassVar = "is_role = 'N'"
    """Of the rows of `mysql.user`, those that are accounts."""
    SYSTEM_USERS: ClassVar[tuple[str, ...]] = ("mariadb.sys",)
    """The server's own, all local."""
    TELLING: ClassVar = "information_schema"
    """Where `global_variables` and `global_status` are."""
    POSITION: ClassVar = "gtid_current_pos"
    """The variable that tells up to where its log of changes goes."""
    COLLATION_NAMES: ClassVar = "COLLATION_NAME, FULL_COLLATION_NAME"
    ROOT_PRIVILEGES: ClassVar = (
        "SELECT, INSERT, UPDATE, DELETE, CREATE, DROP, RELOAD, PROCESS, REFERENCES, INDEX, ALTER,"
        " SHOW DATABASES, CREATE TEMPORARY TABLES, LOCK TABLES, EXECUTE, CREATE VIEW, SHOW VIEW,"
        " CREATE ROUTINE, ALTER ROUTINE, CREATE USER, EVENT, TRIGGER, DELETE HISTORY,"
        " BINLOG MONITOR"
    )

    def __init__(self, connection: Connection[Any], plug: BoundedSocket, until: float) -> None:
        super().__init__(plug, until)
        self._connection = connection

    def ping(self) -> None:
        self.rows("SELECT 1")

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
        self._allow()
        with _errors_as_ours(), self._connection.cursor() as cursor:
            cursor.execute(statement)

    def rows(self, query: str, *values: object, most: int = MOST_ROWS) -> list[tuple[Any, ...]]:
        """The first rows of a query with `%s` for each value; no query has more than `most`.

        The server gives it up a little before the agent does, and does not go on for nobody.
        """
        seconds = max(0.9 * self._allow(), 0.001)
        with _errors_as_ours(), self._connection.cursor() as cursor:
            cursor.execute(self._bounded(f"{query} LIMIT %s", seconds), (*values, most))
            return list(cursor.fetchall())

    def shown(self, statement: str) -> list[dict[str, Any]]:
        """The first rows of a SHOW, which is no query, by the names of their columns."""
        self._allow()
        with _errors_as_ours(), self._connection.cursor(DictCursor) as cursor:
            cursor.execute(statement)
            return list(cursor.fetchmany(MOST_ROWS))

    def told(self, statement: str) -> list[tuple[Any, ...]]:
        """The rows of a statement that takes no LIMIT, as long as the answer has room for them."""
        self._allow()
        with _errors_as_ours(), self._connection.cursor() as cursor:
            cursor.execute(statement)
            return list(cursor.fetchall())

    def _bounded(self, query: str, seconds: float) -> str:
        """A query that the server gives up after so long."""
        return f"SET STATEMENT max_statement_time={seconds:.3f} FOR {query}"

    def close(self) -> None:
        self._plug.allow(CLOSE_SECONDS, 0)
        with suppress(pymysql.MySQLError, OSError):
            self._connection.close()


K = TypeVar("K", bound=Session)


def connect(data: Path, user: str, owner: int, until: float) -> Session:
    """A session with a MariaDB; see `open_session`."""
    return open_session(Session, data, user, owner, until)


def open_session(kind: type[K], data: Path, user: str, owner: int, until: float) -> K:
    """A session by the socket in the data directory, with a server that runs as `owner` (uid).

    Nothing is waited for beyond `until` (monotonic). Raises `Unavailable`, or `LockedOut`.
    """
    options: dict[str, Any] = {
        "user": user,
        "charset": "utf8mb4",
        "autocommit": True,
        # A too long name is an error, whatever mode the user has chosen for the server.
        "sql_mode": "STRICT_ALL_TABLES",
        "init_command": f"SET SESSION lock_wait_timeout = {LOCK_SECONDS}, {kind.NOT_CHOSEN}",
        "defer_connect": True,
        # A local socket has no use for TLS, and making its context (every certificate authority of
        # the system) took 30 ms of each call.
        "ssl_disabled": True,
    }
    connection: Connection[Any] = pymysql.connect(**options)
    plug = session.plug(data, kind.SOCKET, owner, until, greets=True)
    try:
        with _errors_as_ours():
            connection.connect(plug.as_socket())
    except BaseException:
        plug.close()
        raise
    return kind(connection, plug, until)


@contextmanager
def _errors_as_ours() -> Iterator[None]:
    """The server's refusals in the contract's words; what it said itself is for the log."""
    try:
        yield
    except (pymysql.MySQLError, OSError) as error:
        if isinstance(error.__context__, TooMuch):
            raise GuestError("the database answers more than was asked for") from None
        code = error.args[0] if error.args and isinstance(error.args[0], int) else 0
        _log.warning("The database refused with error %s: %s", code, error.args[1:] or "no text")
        raise _ours(code) from None
    except Exception as error:  # noqa: BLE001 - the client's, on bytes that are no answer
        _log.error("The database's answer could not be read:\n%s", where(error))
        raise Unavailable("the database answers with something else than its protocol") from None


def _ours(code: int) -> CommandFailed:
    if code == CR.CR_SERVER_LOST:
        return Unavailable("the database has not answered in time; what was asked may go on")
    if code in _SILENT:
        return Unavailable("the database does not answer")
    if code in _LOCKED_OUT:
        return LockedOut("the agent's way into the database is being repaired")
    kind, sentence = _OURS.get(code, (GuestError, "the database refused the statement"))
    return kind(f"{sentence} (error {code})")
