"""What archiving needs of an engine's log, and what a restore to a moment gives back to it.

    log      ── since(position) ──▶ pieces, whole, oldest first ──▶ the object store
    log      ◀── release(position)                               they lie there
    a copy   ◀── Copies.replay(pieces)                           up to a moment, or a position

A `position` is the engine's own word for a place in its log (`values.Position`, 64 characters at
most); nobody else compares two. Times are what the database's own clock said when a transaction was
committed.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from typing import Generic, NamedTuple

from guest_agent.datastores.server import S, Server
from guest_agent.datastores.session import OpenSession
from guest_agent.errors import GuestError


class LogLost(GuestError):
    """The log does not go on from a position: why, as a sentence's inside for the customer."""


class Piece(NamedTuple):
    """A run of log that goes on where the one before it has ended.

    `until_ms`: all that was committed up to then is in it or before it; 0 where that is told by one
    behind it, as for a transaction that is in two. It may be less than is true, never more, and
    never grows smaller from piece to piece that tells it. The same of `until_position`, a place in
    the log as customers name it, or nothing. `chunks` gives its bytes, the same each time it is
    called while its log is not released; it raises `LogLost`.
    """

    start: str
    end: str
    until_ms: int
    chunks: Callable[[], Iterator[bytes]]
    until_position: str = ""


class ArchivedPiece(NamedTuple):
    """The same, as it comes from the store: once, and checked."""

    start: str
    end: str
    until_ms: int
    chunks: Iterator[bytes]
    until_position: str = ""


class Target(NamedTuple):
    """Up to where a log is replayed: what was committed up to a moment (milliseconds), or what lies
    in it up to a `position`, as customers name it, where one is told."""

    ms: int
    position: str = ""


class Sent(NamedTuple):
    """Up to where an archive was sent: the number and the sum of its last piece."""

    archive: str
    number: int
    sha256: str


class Log(ABC, Generic[S]):
    """The log of one server. Called from one thread; each call of the database is bounded.

    All of it raises `Unavailable` while the database does not answer. Nothing is remembered in
    it: the agent that goes on after a death calls with the position that it finds on the volume.
    """

    def __init__(self, server: Server[S], session: OpenSession[S]) -> None:
        self.server, self.session = server, session

    @abstractmethod
    def keep(self) -> bool:
        """Have the log kept; False while that waits for a start of the database.

        The start may be anybody's, also the first one of a server with data: what is wanted stands
        where a start finds it, also when this raises because the database does not run. It changes
        nothing when it is so already.
        """

    @abstractmethod
    def forget(self) -> None:
        """Keep the log no longer than the engine itself needs it, at once where it can."""

    @abstractmethod
    def begin(self) -> str:
        """The position that an archive begins with: here and now."""

    @abstractmethod
    def since(self, position: str) -> Iterator[Piece]:
        """What lies behind a position, in pieces of a few MiB (16 where the engine has a size).

        When it is exhausted all has been given that was committed before it was called: an engine
        that has its log in files begins a new one for that, if something was written. A transaction
        may be in two pieces. Raises `LogLost` when the log is not there, or not the same any more.
        """

    @abstractmethod
    def release(self, position: str) -> None:
        """What is before the position is not needed any more."""

    @abstractmethod
    def waiting(self, position: str) -> int:
        """Bytes of log on the volume from that position on, as far as can be told."""
