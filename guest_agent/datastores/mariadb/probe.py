"""Asks the server whether it answers, over one connection that it keeps, and guards the accounts.

A session that is open keeps its rights, whatever happens to its account meanwhile: so this one can
put the agent's account right without a restart.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from enum import Enum
from typing import Final

from guest_agent.datastores.mariadb import superuser
from guest_agent.datastores.mariadb.sql import LockedOut, NotListening, Session
from guest_agent.errors import CommandFailed

PROBE_SECONDS: Final = 3.0
GUARD_SECONDS: Final = 10.0


class Answer(Enum):
    """What came of asking."""

    YES = "it answers"
    NOT_YET = "nobody listens: it is starting"
    SILENT = "it takes connections and does not answer"
    LOCKED_OUT = "it does not let the agent in"


class Probe:
    """`connect` opens a session with so many seconds for each answer. Safe for several threads."""

    def __init__(self, connect: Callable[[float], Session]) -> None:
        self._connect = connect
        self._lock = threading.Lock()
        self._session: Session | None = None
        self._guard_at = 0.0
        self._said: list[str] = []

    def ask(self) -> Answer:
        """One round trip, over a new connection when the old one is gone."""
        with self._lock:
            if self._session is not None and self._round_trip():
                return Answer.YES
            self._drop()
            try:
                self._session = self._connect(PROBE_SECONDS)
            except NotListening:
                return Answer.NOT_YET
            except LockedOut:
                return Answer.LOCKED_OUT
            except CommandFailed:
                return Answer.SILENT
            return Answer.YES if self._round_trip() else Answer.SILENT

    def repair(self) -> None:
        """Put the accounts right now, if the connection is still there."""
        with self._lock:
            self._guard_at = 0.0
            if self._session is not None and not self._round_trip():
                self._drop()

    def said(self) -> list[str]:
        """What was found and put right since the last call."""
        said, self._said = self._said, []
        return said

    def _round_trip(self) -> bool:
        assert self._session is not None
        try:
            if time.monotonic() < self._guard_at:
                self._session.rows("SELECT 1")
            else:
                self._said += superuser.secure(self._session)
                self._guard_at = time.monotonic() + GUARD_SECONDS
        except CommandFailed:
            return False
        return True

    def _drop(self) -> None:
        if self._session is not None:
            self._session.close()
        self._session = None
