"""When the guest reports its state: at every change, and else once in a period."""

from __future__ import annotations

from typing import Any, Final

import msgspec

from chalicelib import aws
from chalicelib.bus.contract import RELEASE
from chalicelib.service_status import ServiceStatus as Status
from guest_agent.errors import Denied, Unreachable
from guest_agent.manager import Condition, Manager
from guest_agent.memory import Memory
from guest_agent.outbox import Outbox

FIRST_RETRY_SECONDS: Final = 5.0
MOST_DOUBLINGS: Final = 10


class Heartbeat:
    """Called often and from one thread only, so that what is newer also has the higher number."""

    def __init__(self, manager: Manager, outbox: Outbox, memory: Memory) -> None:
        self._manager = manager
        self._outbox = outbox
        self._memory = memory

    def beat(self, condition: Condition, every_seconds: float) -> str | None:
        """Report if it is time to; a sentence when something was said or could not be."""
        now, memory = aws.monotonic(), self._memory
        status = condition.status
        if memory.reported is None and status is Status.BUILDING:
            # Whoever sent `prepare` knows that much; only a long one has to show it is alive.
            memory.reported, memory.beat_at = status, now + every_seconds
        changed = status is not memory.reported
        if now < memory.beat_at and (not (changed or memory.news) or memory.beats_failed):
            return None
        memory.news = False
        state: dict[str, Any] = {
            "status": status.value,
            "reason": condition.reason,
            "volume": self._manager.filesystem(),
            "rejected": memory.rejected,
            "release": RELEASE,
        }
        if version := self._manager.agent_version:
            state["version"] = version
        if metrics := msgspec.to_builtins(self._manager.metrics()):
            state["metrics"] = metrics
        if memory.archiving is not None:
            state["archive"] = msgspec.to_builtins(memory.archiving)
        try:
            self._outbox.heartbeat(state)
        except Unreachable as error:
            if isinstance(error, Denied):
                memory.wants_renewal = True
            # Ever later, up to the period: a fleet must not make an outage worse than it is.
            memory.beat_at = now + min(
                FIRST_RETRY_SECONDS * 2.0**memory.beats_failed, every_seconds
            )
            memory.beats_failed = min(memory.beats_failed + 1, MOST_DOUBLINGS)
            return f"The heartbeat was not sent: {error}"
        memory.beats_failed = 0
        memory.reported = status
        memory.beat_at = now + every_seconds
        return f"The datastore is {status.value}." if changed else None
