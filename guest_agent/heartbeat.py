"""When the guest reports its state: at every change, and else once in a period."""

from __future__ import annotations

from typing import Final

from chalicelib import aws
from guest_agent.contract import Status
from guest_agent.dispatch import Dispatcher
from guest_agent.errors import Unreachable
from guest_agent.manager import Manager
from guest_agent.outbox import Outbox

RETRY_SECONDS: Final = 5.0


class Heartbeat:
    """Called often and from one thread only, so that what is newer also has the higher number."""

    def __init__(self, manager: Manager, outbox: Outbox, dispatcher: Dispatcher) -> None:
        self._manager = manager
        self._outbox = outbox
        self._dispatcher = dispatcher
        self._sent: Status | None = None
        self._due = 0.0
        self._failed_lately = False

    def beat(self, every_seconds: float) -> str | None:
        """Report if it is time to; a sentence when something was said or could not be."""
        now = aws.monotonic()
        status = self._manager.status()
        if self._sent is None and status is Status.BUILDING:
            # Whoever sent `prepare` knows that much; only a long one has to show it is alive.
            self._sent, self._due = status, now + every_seconds
        changed = status is not self._sent
        if now < self._due and (not changed or self._failed_lately):
            return None
        state = {
            "status": status.value,
            "volume": self._manager.filesystem(),
            "rejected": self._dispatcher.rejected,
        }
        try:
            self._outbox.heartbeat(state)
        except Unreachable as error:
            self._failed_lately = True
            self._due = now + RETRY_SECONDS
            return f"The heartbeat was not sent: {error}"
        self._failed_lately = False
        self._sent = status
        self._due = now + every_seconds
        return f"The datastore is {status.value}." if changed else None
