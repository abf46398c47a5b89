"""Keeps the database running: a dead one is started again, and what happens to it is told.

The pauses between two starts grow, and after a bounded number of them it is given up, which is a
state of its own. A database that was stopped by command is none of the keeper's, unless its server
was to be switched off, and stayed on.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Final

from chalicelib import aws
from chalicelib.service_status import ServiceStatus as Status
from guest_agent.errors import GuestAgentError, where
from guest_agent.manager import Condition, Manager
from guest_agent.memory import Memory
from guest_agent.outbox import Outbox

FIRST_PAUSE_SECONDS: Final = 1.0
LONGEST_PAUSE_SECONDS: Final = 300.0
STARTS: Final = 8
"""So often in a row; about four minutes, when each start fails at once."""
STEADY_SECONDS: Final = 300.0
"""After so long without trouble the next death is a first one again."""
EVENTS_KEPT: Final = 20
"""While the control plane is away; the oldest go first."""
_TROUBLE: Final = frozenset({Status.BLOCKED, Status.CRASHED, Status.FAILED})
_log = logging.getLogger(__name__)


class Keeper:
    """Looks with every pulse. What it must remember is in the agent's memory."""

    def __init__(
        self, manager: Manager, outbox: Outbox, memory: Memory, on_finished: Callable[[], None]
    ) -> None:
        self._manager = manager
        self._outbox = outbox
        self._memory = memory
        self._on_finished = on_finished
        self.working = False

    def look(self, condition: Condition) -> str | None:
        """Tell what has changed, and start what should run; a sentence when it does."""
        self._note(condition)
        now, memory = aws.monotonic(), self._memory
        if condition.status is Status.HEALTHY:
            memory.start_at = None
            if memory.starts and now >= memory.steady_at:
                memory.starts = 0
            return None
        memory.steady_at = now + STEADY_SECONDS
        if not condition.start_wanted:
            memory.start_at = None  # it was told to stop meanwhile: nothing is due any more
            return None
        if self.working:
            return None
        if memory.starts >= STARTS:
            memory.starts = 0
            self._manager.give_up()
            return f"The database is given up after {STARTS} starts: {condition.reason}."
        if memory.start_at is None:
            memory.start_at = now + pause_before(memory.starts)
        if now < memory.start_at:
            return None
        memory.starts += 1
        memory.start_at = None
        self.working = True
        aws.spawn(self._start_again, name="start-again")
        return f"The database is started again, for the {memory.starts}. time: {condition.reason}."

    def tell(self) -> None:
        """Send the events that wait; `Unreachable` leaves the rest for the next time."""
        while self._memory.events:
            self._outbox.event(*self._memory.events[0])
            self._memory.events = self._memory.events[1:]

    def _note(self, condition: Condition) -> None:
        """A trouble is an event when it begins, and again after each start that did not end it."""
        memory, status = self._memory, condition.status
        for notice in condition.notices:
            self._add("repaired", notice)
        if condition.damaged and condition.reason != memory.damage:
            self._add("damaged", condition.reason)
        memory.damage = condition.reason if condition.damaged else ""
        if status in _TROUBLE and status is not memory.trouble:
            self._add(status.value, condition.reason)
            memory.trouble, memory.troubled = status, True
        elif status is Status.HEALTHY and memory.troubled:
            self._add(status.value, "the database answers again")
            memory.trouble, memory.troubled = None, False

    def _add(self, kind: str, text: str) -> None:
        self._memory.events = (*self._memory.events, (kind, text))[-EVENTS_KEPT:]

    def _start_again(self) -> None:
        try:
            _log.info(self._manager.start_again())
        except (GuestAgentError, OSError) as error:
            _log.error("The database was not started again: %s", error)
        except Exception as error:  # noqa: BLE001 - the next start may go better
            _log.error("The database was not started again: %s", where(error))
        finally:
            self._memory.trouble = None  # another death after this start is another event
            self.working = False
            self._on_finished()


def pause_before(starts: int) -> float:
    """Seconds from a death to the next start, after so many in a row."""
    return min(FIRST_PAUSE_SECONDS * 2.0**starts, LONGEST_PAUSE_SECONDS)
