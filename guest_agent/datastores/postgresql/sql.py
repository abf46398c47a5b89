"""Sessions with PostgreSQL, in its words.

Every name is data: identifiers and literals are quoted by the driver, here and nowhere else.
Passwords are hashed before they become part of a statement, so that no log of the server ever shows
one.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import logging
import secrets
import struct
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Final

from pg8000 import native
from scramp.utils import ScramException, saslprep

from chalicelib.engines.postgresql import ADMINISTRATOR, ENGINE, LONGEST_NAME
from guest_agent.bounded_socket import BoundedSocket, TooMuch
from guest_agent.datastores import session
from guest_agent.datastores.session import (
    ANSWER_SECONDS,
    CLOSE_SECONDS,
    LOCK_SECONDS,
    MOST_ROWS,
    LockedOut,
    NotListening,
)
from guest_agent.errors import (
    BadRequest,
    CommandFailed,
    DatabaseAlreadyExists,
    DatabaseNotFound,
    GuestError,
    Unavailable,
    UserAlreadyExists,
    UserNotFound,
    where,
)

SOCKET: Final = f".s.PGSQL.{ENGINE.tcp_ports[0]}"
MAIN: Final = "postgres"
"""The database that the agent asks, where nobody else may make anything."""
ITERATIONS: Final = 4096
SALT_BYTES: Final = 16
OF_WHICH_MS: Final = 900
"""Of each second that an answer has, the milliseconds of its statement: the server says itself that
it was too long."""
SESSION: Final = {
    # What a customer sets for a database of its own does not count for the agent in it.
    "search_path": "pg_catalog",
    "role": "none",
    "row_security": "off",
    "default_transaction_read_only": "off",
    "default_transaction_isolation": "read committed",
    "idle_in_transaction_session_timeout": "0",
    "idle_session_timeout": "0",
    "local_preload_libraries": "",
    "standard_conforming_strings": "on",
    "client_encoding": "UTF8",
    "statement_timeout": f"{ANSWER_SECONDS * OF_WHICH_MS:.0f}",
    "lock_timeout": str(LOCK_SECONDS * 1000),
    "client_min_messages": "error",
}
"""What the agent's sessions have, whatever is chosen for others."""
STRANGE: Final = {
    "session_preload_libraries": "",
    "datestyle": "ISO",
    "timezone": "UTC",
}
"""What they have beside it on data that somebody else has made, and has chosen settings in."""
WITH_TRANSACTION_TIMEOUT: Final = 17
"""The first major that has one more bound; the others would let nobody in who names it."""
SINCE_17: Final = {"transaction_timeout": "0"}
_OURS: Final[dict[str, tuple[type[CommandFailed], str]]] = {
    "42P04": (DatabaseAlreadyExists, "there is a database of that name"),
    "3D000": (DatabaseNotFound, "there is no database of that name"),
    "42710": (UserAlreadyExists, "there is a user of that name"),
    "42704": (UserNotFound, "there is no user of that name"),
    "42939": (BadRequest, "the name is reserved"),
    "42622": (BadRequest, "the name is too long"),
    "22021": (BadRequest, "the name has a character that the server cannot store"),
    "22023": (BadRequest, "the encoding, or the collation, is not one of this server"),
    "42809": (BadRequest, "there is no such collation"),
    "55000": (Unavailable, "the database does not let anybody in"),
    "55006": (Unavailable, "the database is in use"),
    "55P03": (Unavailable, "other sessions hold locks on what the call would change"),
    "57014": (Unavailable, "the database took too long"),
    "53300": (Unavailable, "all connections of the database are in use"),
    "53100": (Unavailable, "the volume is full"),
    "57P03": (NotListening, "the database does not answer"),
    "57P01": (NotListening, "the database does not answer"),
    "57P02": (NotListening, "the database does not answer"),
    "28000": (LockedOut, "the agent's way into the database is being repaired"),
    "28P01": (LockedOut, "the agent's way into the database is being repaired"),
}
_SSL_REQUEST: Final = struct.pack("!ii", 8, 80877103)
"""What a client may ask before it says who it is; the answer is one byte."""
_log = logging.getLogger(__name__)


def identifier(name: str) -> str:
    """A quoted identifier; `BadRequest` for a name that the catalogs cannot hold."""
    if not name or "\0" in name:
        raise BadRequest("a name must not be empty or hold a zero character")
    if len(_bytes(name)) > LONGEST_NAME:
        raise BadRequest(f"a name of {len(_bytes(name))} bytes is too long")
    return str(native.identifier(name))


def literal(value: str) -> str:
    """A quoted string literal; `BadRequest` for what would end the statement in the middle."""
    if "\0" in value:
        raise BadRequest("a text must not hold a zero character")
    return str(native.literal(value))


def password(plain: str) -> str:
    """The clause that sets a password, from what the server keeps of it (SCRAM-SHA-256).

    As PostgreSQL's own clients do, one that cannot be prepared is taken as it is.
    """
    if not plain or "\0" in plain:
        raise BadRequest("a password must not be empty or hold a zero character")
    try:
        # U+200B is in both tables of SASLprep: clients take it for a space, scramp for nothing.
        prepared = saslprep(plain.replace("\u200b", " ")) or plain
    except ScramException:
        prepared = plain
    salt = secrets.token_bytes(SALT_BYTES)
    salted = hashlib.pbkdf2_hmac("sha256", _bytes(prepared), salt, ITERATIONS)
    stored = hashlib.sha256(hmac.digest(salted, b"Client Key", "sha256")).digest()
    served = hmac.digest(salted, b"Server Key", "sha256")
    kept = f"{_base64(salt)}${_base64(stored)}:{_base64(served)}"
    return f"PASSWORD 'SCRAM-SHA-256${ITERATIONS}:{kept}'"


def _base64(content: bytes) -> str:
    return base64.b64encode(content).decode()


def _bytes(text: str) -> bytes:
    try:
        return text.encode()
    except UnicodeEncodeError:
        raise BadRequest("half of a surrogate pair is no character") from None


class Session(session.Session):
    """A connection to one database of a PostgreSQL."""

    def __init__(
        self,
        connection: native.Connection,
        plug: BoundedSocket,
        data: Path,
        owner: int,
        until: float,
        user: str = ADMINISTRATOR,
    ) -> None:
        super().__init__(plug, until)
        self._connection = connection
        self._user = user
        self._data = data
        self._owner = owner

    @property
    def major(self) -> int:
        """The major version that the server tells."""
        return int(self._connection.parameter_statuses["server_version"].split(".")[0])

    def allow_each(self, seconds: float) -> None:
        super().allow_each(seconds)
        self.run(f"SET statement_timeout = {seconds * OF_WHICH_MS:.0f}")

    def ping(self) -> None:
        """This session's process, and the one that makes a process for each who comes."""
        self.rows("SELECT 1")
        plug = session.plug(self._data, SOCKET, self._owner, self.until, greets=False)
        try:
            plug.sendall(_SSL_REQUEST)
            taken = plug.recv(1)
        except OSError:
            taken = b""
        finally:
            plug.cut()
        if not taken:
            raise Unavailable("the database does not answer")

    def run(self, statement: str) -> None:
        self._allow()
        with _errors_as_ours():
            self._connection.run(statement)

    def rows(self, query: str, *values: object, most: int = MOST_ROWS) -> list[tuple[Any, ...]]:
        """The first rows of a query with `$1` and so on for its values."""
        self._allow()
        with _errors_as_ours():
            found = self._connection.execute_unnamed(f"{query} LIMIT {int(most)}", values)
        return [tuple(row) for row in found.rows or ()]

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """What is run inside takes effect as a whole, or not at all."""
        self.run("BEGIN")
        try:
            yield
            self.run("COMMIT")
        except BaseException:
            with suppress(CommandFailed):
                self.run("ROLLBACK")
            raise

    @contextmanager
    def within(self, database: str) -> Iterator[Session]:
        """A session in another database, with the same bounds."""
        more = SINCE_17 if self.major >= WITH_TRANSACTION_TIMEOUT else {}
        made = connect(self._data, self._owner, self.until, database, self._user, more)
        try:
            if self.answer_seconds > made.answer_seconds:
                made.allow_each(self.answer_seconds)
            yield made
        finally:
            made.close()
            self.statements += made.statements

    def close(self) -> None:
        self._plug.allow(CLOSE_SECONDS, 0)
        with suppress(native.Error, OSError, ValueError):
            self._connection.close()
        self._plug.cut()


def connect(
    data: Path,
    owner: int,
    until: float,
    database: str = MAIN,
    user: str = ADMINISTRATOR,
    more: Mapping[str, str] = {},
) -> Session:
    """A session as the administrator by the socket in the data directory of a server of `owner`,
    with `more` settings; as another `user` where the data are somebody else's.

    Nothing is waited for beyond `until` (monotonic). Raises `Unavailable`, or `LockedOut`.
    """
    plug = session.plug(data, SOCKET, owner, until, greets=False)
    try:
        with _errors_as_ours():
            connection = native.Connection(
                user,
                database=database,
                application_name="coffer",
                startup_params={**SESSION, **more, **(STRANGE if user != ADMINISTRATOR else {})},
                sock=plug.as_socket(),
                ssl_context=False,
            )
    except BaseException:
        plug.cut()
        raise
    return Session(connection, plug, data, owner, until, user)


@contextmanager
def _errors_as_ours() -> Iterator[None]:
    """The server's refusals in the contract's words; what it said itself is for the log."""
    try:
        yield
    except native.DatabaseError as error:
        told = error.args[0] if error.args and isinstance(error.args[0], dict) else {}
        code = str(told.get("C", ""))
        _log.warning("The database refused with %s: %s", code, told.get("M", "no text"))
        kind, sentence = _OURS.get(code, (GuestError, "the database refused the statement"))
        raise kind(f"{sentence} ({code})" if kind is GuestError else sentence) from None
    except (native.InterfaceError, OSError) as error:
        cause = error.__cause__ or error
        if isinstance(cause, TooMuch):
            raise GuestError("the database answers more than was asked for") from None
        if isinstance(cause, TimeoutError):
            raise Unavailable(
                "the database has not answered in time; what was asked may go on"
            ) from None
        raise Unavailable("the database does not answer") from None
    except Exception as error:  # noqa: BLE001 - the client's, on bytes that are no answer
        _log.error("The database's answer could not be read:\n%s", where(error))
        raise Unavailable("the database answers with something else than its protocol") from None
