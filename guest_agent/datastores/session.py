"""Sessions with a server by its local socket, as the agent's own operating system user.

No password, no address and no setting of the network stands between the agent and its database.
What is here has a bound for everything that is waited for, and knows no engine.
"""

from __future__ import annotations

import logging
import socket
import struct
import time
from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Final, Protocol, TypeVar

from guest_agent.bounded_socket import BoundedSocket
from guest_agent.errors import CommandFailed, Unavailable
from guest_agent.files import open_folder

GREETING_SECONDS: Final = 5.0  # a stopped server takes connections, and says nothing
ANSWER_SECONDS: Final = 12.0  # one statement, all of its answer
CALL_SECONDS: Final = 17.0  # a session of a synchronous call, which may take 20 s in all
CLOSE_SECONDS: Final = 1.0  # to say goodbye
UNDO_SECONDS: Final = 2.0  # beyond those, for taking back what a failed call has done
LOCK_SECONDS: Final = 10  # below the answer's, so that the server tells of a lock itself
MOST_ROWS: Final = 1000  # of one query, unless it asks for more
ANSWER_BYTES: Final = 16 * 1024**2
"""Of one statement: more than any query here can ask for."""
_PEER: Final = struct.Struct("3i")  # SO_PEERCRED: pid, uid, gid
_log = logging.getLogger(__name__)

T = TypeVar("T", covariant=True)


class OpenSession(Protocol[T]):
    """`Life.session`."""

    def __call__(self, seconds: float = ...) -> AbstractContextManager[T]: ...


class LockedOut(Unavailable):
    """The server does not take the agent for its administrator any more."""


class Crowded(Unavailable):
    """The server lets nobody in: its customers have taken all of its connections."""


class NotListening(Unavailable):
    """No server is at the socket: it is starting, or dead."""


class Session(ABC):
    """An open connection that turns the server's errors into the contract's.

    Each statement has `answer_seconds`, and nothing is waited for beyond `until` (monotonic).
    """

    def __init__(self, plug: BoundedSocket, until: float) -> None:
        self._plug = plug
        self.until = until
        self.answer_seconds = ANSWER_SECONDS
        self.statements = 0
        """How many it was asked to run."""

    def allow_each(self, seconds: float) -> None:
        """Let a statement take so long: of a command for whose answer nobody stays connected."""
        self.answer_seconds = seconds

    @abstractmethod
    def ping(self) -> None:
        """One round trip that asks for nothing."""

    @abstractmethod
    def run(self, statement: str) -> None:
        """Execute a statement whose names are quoted already."""

    @abstractmethod
    def close(self) -> None:
        """Close it; harmless when it is closed or broken."""

    def _allow(self) -> float:
        """Let the next statement take what is left, and tell how many seconds that is."""
        self.statements += 1
        seconds = min(self.until - time.monotonic(), self.answer_seconds)
        self._plug.allow(seconds, ANSWER_BYTES)
        return seconds

    @contextmanager
    def all_or_nothing(self) -> Iterator[list[str]]:
        """Statements put on the list are run, the last first, when what follows fails.

        For what is no part of a transaction.
        """
        undo: list[str] = []
        try:
            yield undo
        except CommandFailed:
            self.until = max(self.until, time.monotonic() + UNDO_SECONDS)
            for statement in reversed(undo):
                try:
                    self.run(statement)
                except CommandFailed as error:
                    _log.error("A part of a failed call could not be undone: %s", error)
            raise


def plug(folder: Path, name: str, owner: int, until: float, *, greets: bool) -> BoundedSocket:
    """A connected local socket of a server that runs as `owner` (uid), and has begun to speak if
    its protocol `greets`; connecting is one statement more.

    The folder is the database user's, who may put there a link to the socket of another server:
    the kernel tells whose process listens. The way through /proc keeps the path below the 107
    bytes that a socket address holds. Raises `NotListening`, `Unavailable`.
    """
    seconds = min(until - time.monotonic(), ANSWER_SECONDS)
    plain = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        plain.settimeout(max(min(GREETING_SECONDS, seconds), 0.001))
        with open_folder(folder) as descriptor:
            plain.connect(f"/proc/self/fd/{descriptor}/{name}")
        _check_server(plain, owner)
        _check_greeting(plain, greets=greets)
    except (FileNotFoundError, ConnectionRefusedError):
        plain.close()
        raise NotListening("the database does not answer") from None
    except OSError:
        plain.close()
        raise Unavailable("the database does not answer") from None
    except BaseException:
        plain.close()
        raise
    return BoundedSocket(plain, seconds, ANSWER_BYTES)


def _check_greeting(plain: socket.socket, *, greets: bool) -> None:
    """`Unavailable` when it has nothing to say that it should."""
    if greets and not plain.recv(1, socket.MSG_PEEK):
        raise Unavailable("the database closes its connections")


def _check_server(plain: socket.socket, owner: int) -> None:
    """`Unavailable` unless it is a process of `owner`."""
    _, uid, _ = _PEER.unpack(plain.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _PEER.size))
    if uid != owner:
        raise Unavailable("the database's socket belongs to somebody else")
