"""Sessions with Redis, in its protocol (RESP 2).

Every argument goes with its length before it, so none is ever read as a command. The protocol is
small, and a client with pools, clusters and an event loop would take more of a guest's memory than
the agent has for its database.
"""

from __future__ import annotations

import logging
from contextlib import suppress
from pathlib import Path
from typing import Final, TypeAlias

from chalicelib.engines.redis import ADMINISTRATOR
from guest_agent.bounded_socket import BoundedSocket, TooMuch
from guest_agent.datastores import session
from guest_agent.datastores.session import (
    ANSWER_BYTES,
    CLOSE_SECONDS,
    Crowded,
    LockedOut,
    NotListening,
)
from guest_agent.errors import BadRequest, CommandFailed, GuestError, Unavailable

SOCKET: Final = "coffer.sock"
_DEEPEST: Final = 4
"""Lists within lists; what is asked here has two."""
_LONGEST_LINE: Final = 4096
_OURS: Final[dict[str, tuple[type[CommandFailed], str]]] = {
    "LOADING": (NotListening, "the database is reading its data"),
    "NOAUTH": (LockedOut, "the agent's way into the database is being repaired"),
    "WRONGPASS": (LockedOut, "the agent's way into the database is being repaired"),
    "NOPERM": (LockedOut, "the agent's way into the database is being repaired"),
    "BUSY": (Unavailable, "a script keeps the database busy"),
}
_log = logging.getLogger(__name__)
Answer: TypeAlias = "bytes | int | list[Answer] | None"


class _Refused(Exception):
    """What the server says against a command."""


class Session(session.Session):
    """A connection to a Redis."""

    def __init__(self, plug: BoundedSocket, until: float) -> None:
        super().__init__(plug, until)
        self._file = plug.makefile("rb")
        self._broken = False

    def ping(self) -> None:
        """One that loads its data refuses it, and one whose last RDB has failed does not, which
        refuses a PING as it does a write."""
        self.ask("DBSIZE")

    def run(self, statement: str) -> None:
        self.ask(*statement.split())

    def ask(self, *words: str) -> Answer:
        """The answer to one command; the server's refusals are the contract's errors."""
        parts = [_bytes(word) for word in words]
        self._allow()
        if self._broken:  # what comes next may be the answer to something else
            raise Unavailable("the database does not answer")
        try:
            with suppress(BrokenPipeError):  # one that lets nobody in says so before it closes
                self._plug.sendall(b"*%d\r\n" % len(parts) + b"".join(map(_bulk, parts)))
            return self._read()
        except _Refused as refused:
            raise _error(str(refused)) from None
        except TooMuch:
            self._broken = True
            raise GuestError("the database answers more than was asked for") from None
        except TimeoutError:
            self._broken = True
            raise Unavailable(
                "the database has not answered in time; what was asked may go on"
            ) from None
        except OSError:
            self._broken = True
            raise Unavailable("the database does not answer") from None
        except (ValueError, RecursionError):
            self._broken = True
            raise Unavailable(
                "the database answers with something else than its protocol"
            ) from None

    def close(self) -> None:
        self._plug.allow(CLOSE_SECONDS, 0)
        self._plug.cut()

    def _read(self, depth: int = 0) -> Answer:
        """One answer. Raises `ValueError` for what is none, `OSError` when the server is gone."""
        line = self._file.readline(_LONGEST_LINE)
        if not line:
            raise ConnectionError("the server has closed the connection")
        if not line.endswith(b"\r\n"):
            raise ValueError("a line has no end")
        kind, rest = line[:1], line[1:-2]
        match kind:
            case b"+":
                return rest
            case b"-" if depth == 0:
                raise _Refused(rest.decode(errors="replace"))
            case b":":
                return int(rest)
            case b"$":
                return self._text(int(rest))
            case b"*" if depth < _DEEPEST:
                count = int(rest)
                return None if count < 0 else [self._read(depth + 1) for _ in range(count)]
        raise ValueError("an answer of another kind")

    def _text(self, length: int) -> bytes | None:
        if length < 0:
            return None
        if length > ANSWER_BYTES:
            raise TooMuch("the answer is longer than is allowed")
        content = self._file.read(length + 2)
        if len(content) < length + 2:
            raise ConnectionError("the server has closed the connection")
        return content[:-2]


def connect(data: Path, owner: int, until: float, password: str) -> Session:
    """A session as the administrator by the socket in the data directory of a server of `owner`.

    Nothing is waited for beyond `until` (monotonic). Raises `NotListening` also of one that still
    reads its data, `Unavailable`, or `LockedOut`.
    """
    made = Session(session.plug(data, SOCKET, owner, until, greets=False), until)
    try:
        made.ask("AUTH", ADMINISTRATOR, password)
        made.ping()
    except BaseException:
        made.close()
        raise
    return made


def _bulk(content: bytes) -> bytes:
    return b"$%d\r\n%b\r\n" % (len(content), content)


def _bytes(text: str) -> bytes:
    try:
        return text.encode()
    except UnicodeEncodeError:
        raise BadRequest("half of a surrogate pair is no character") from None


def _error(said: str) -> CommandFailed:
    """A refusal in the contract's words; only the server's own code is for the log."""
    code = said.partition(" ")[0][:32]
    if "max number of clients" in said:
        return Crowded("all connections of the database are in use")
    _log.warning("The database refused with %s.", code)
    kind, sentence = _OURS.get(code, (GuestError, f"the database refused the command ({code})"))
    return kind(sentence)
