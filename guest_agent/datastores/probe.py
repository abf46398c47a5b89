"""Asks the server whether it answers, over one connection that it keeps, and guards the accounts.

A session that is open keeps its rights, whatever happens to its account meanwhile: so this one can
put the agent's account right without a restart.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from enum import Enum
from typing import Final, Generic, TypeVar

from guest_agent.datastores.session import Crowded, LockedOut, NotListening, Session
from guest_agent.errors import CommandFailed

PROBE_SECONDS: Final = 3.0
"""To connect, if need be, and to answer: all of it."""
GUARD_SECONDS: Final = 10.0
LOOK_SECONDS: Final = 5.0
"""What one look at the accounts may take; a million of them take 1.7 s."""
SAID_KEPT: Final = 20
"""Until somebody asks: nobody does while the volume is full. The oldest go first."""
_log = logging.getLogger(__name__)


class Answer(Enum):
    """What came of asking."""

    YES = "it answers"
    NOT_YET = "nobody listens: it is starting"
    SILENT = "it takes connections and does not answer"
    LOCKED_OUT = "it does not let the agent in"
    CROWDED = "its customers have taken all of its connections"


S = TypeVar("S", bound=Session)


class Probe(Generic[S]):
    """`connect` opens a session that ends at a moment (monotonic), `secure` puts the accounts right
    and says what was wrong. Safe for several threads.
    """

    def __init__(self, connect: Callable[[float], S], secure: Callable[[S], list[str]]) -> None:
        self._connect = connect
        self._secure = secure
        self._lock = threading.Lock()
        self._session: S | None = None
        self._guard_at = 0.0
        self._said: list[str] = []

    def ask(self) -> Answer:
        """One round trip, over a new connection when the old one is gone; then a look, if due."""
        with self._lock:
            answer = self._ask(time.monotonic() + PROBE_SECONDS)
            if answer is Answer.YES and time.monotonic() >= self._guard_at:
                self._guard()
            return answer

    def repair(self) -> None:
        """Put the accounts right now, if the connection is still there."""
        with self._lock:
            if self._session is not None:
                self._guard()

    @contextmanager
    def used(self, seconds: float) -> Iterator[S | None]:
        """The connection that answered last, if there is one, for something that is asked in so
        long. One on which that fails is not used again.
        """
        with self._lock:
            if (session := self._session) is not None:
                session.until = time.monotonic() + seconds
            try:
                yield session
            except CommandFailed:
                self._drop()
                raise

    @contextmanager
    def lend(self, until: float) -> Iterator[S]:
        """The connection that is kept, for a call where no other is to be had; `Crowded` when it
        is gone, too."""
        with self._lock:
            if self._session is None:
                raise Crowded(f"the database lets nobody in: {Answer.CROWDED.value}")
            self._session.until = until
            yield self._session

    def forget(self) -> None:
        """Close the connection to a server that has ended."""
        with self._lock:
            self._drop()

    def said(self) -> list[str]:
        """What was found and put right since the last call."""
        said, self._said = self._said, []
        return said

    def _ask(self, until: float) -> Answer:
        if self._session is not None and self._round_trip(self._session, until):
            return Answer.YES
        self._drop()
        try:
            self._session = self._connect(until)
        except NotListening:
            return Answer.NOT_YET
        except LockedOut:
            return Answer.LOCKED_OUT
        except Crowded:
            return Answer.CROWDED
        except CommandFailed:
            return Answer.SILENT
        if self._round_trip(self._session, until):
            return Answer.YES
        self._drop()
        return Answer.SILENT

    @staticmethod
    def _round_trip(session: Session, until: float) -> bool:
        session.until = until
        try:
            session.ping()
        except CommandFailed:
            return False
        return True

    def _guard(self) -> None:
        """Put the accounts right; a look that fails is made again, like one that did not.

        A database whose accounts cannot be looked at, being locked by its customer, answers still.
        """
        assert self._session is not None, "it has just answered"
        self._guard_at = time.monotonic() + GUARD_SECONDS
        self._session.until = time.monotonic() + LOOK_SECONDS
        try:
            self._said = [*self._said, *self._secure(self._session)][-SAID_KEPT:]
        except CommandFailed as error:
            _log.error("The accounts of the database were not looked at: %s", error)
            self._drop()

    def _drop(self) -> None:
        if self._session is not None:
            self._session.close()
        self._session = None
