"""What this guest has begun and what it answered, so that no command runs twice.

receive ──▶ "started" ──▶ effect ──▶ answer ──▶ send ──▶ delete the message
                      ▲          ▲          ▲
                      │          │          └ died here: the recorded answer is sent again
                      └──────────┴ died here: a repeatable method runs again, another is
                                   answered "Interrupted"
"""

from __future__ import annotations

from typing import Any, Final, Protocol

import msgspec

from chalicelib.bus.envelope import Envelope, Fault
from guest_agent.memory import Memory

KEPT_AFTER_EXPIRY_SECONDS: Final = 86400.0  # clocks differ, and a reader may want to look
PRUNE_EVERY: Final = 100  # commands


class Outcome(msgspec.Struct, frozen=True):
    """A command's answer: a result or a fault."""

    result: dict[str, Any] | None = None
    fault: Fault | None = None


class Entry(msgspec.Struct, frozen=True):
    """One command. Arguments are not kept: they hold passwords, and the queue still has them."""

    id: str
    method: str
    started_at: float
    expires_at: float
    outcome: Outcome | None = None


class JournalStore(Protocol):
    """Where entries live; each call is durable when it returns, or raises `JournalUnusable`."""

    lost_before: float
    """Commands issued before this may have been in a journal that was lost; 0 when none was."""

    def get(self, command_id: str) -> Entry | None: ...

    def put(self, entry: Entry) -> None: ...

    def prune(self, expired_before: float) -> None:
        """Forget entries whose command expired before that time."""
        ...


class Journal:
    """The rules on top of a store.

    A command is never executed after its expiry, so an entry may go once that has passed: the
    journal is bounded by the commands of their longest life plus a day.
    """

    def __init__(self, store: JournalStore, memory: Memory | None = None) -> None:
        self._store = store
        self._memory = memory or Memory()

    def recorded(self, command: Envelope) -> Entry | None:
        """What is known of a command."""
        return self._store.get(command.id)

    def may_have_begun(self, command: Envelope) -> bool:
        """Whether an earlier run of the command may have had effects without an answer."""
        entry = self._store.get(command.id)
        if entry is not None:
            return entry.outcome is None
        return command.issued_at <= self._store.lost_before

    def begin(self, command: Envelope, now: float) -> None:
        """Record the start, before the first effect."""
        self._store.put(Entry(command.id, command.method, now, command.expires_at))
        self._memory.begun_since_pruned += 1
        if self._memory.begun_since_pruned >= PRUNE_EVERY:
            self._memory.begun_since_pruned = 0
            self._store.prune(now - KEPT_AFTER_EXPIRY_SECONDS)

    def finish(self, command: Envelope, now: float, outcome: Outcome) -> None:
        """Record the answer, before it is sent."""
        self._store.put(Entry(command.id, command.method, now, command.expires_at, outcome))
