"""The guest's three queues as the core sees them; `transport` has them on SQS."""

from __future__ import annotations

from typing import Final, NamedTuple, Protocol

from guest_agent.enrolment import Session

LONG_POLL_SECONDS: Final = 20
VISIBILITY_SECONDS: Final = 20


class Message(NamedTuple):
    """A received message: its body and the handle that deletes or extends it."""

    body: str
    receipt: str


class Queues(Protocol):
    """The guest's three queues as the core uses them."""

    def adopt(self, session: Session) -> None:
        """Use the credentials and queues of this session from now on."""
        ...

    def receive(self, seconds: int) -> list[Message]:
        """Wait at most that long for commands."""
        ...

    def delete(self, receipt: str) -> None: ...

    def hide(self, receipt: str, seconds: int) -> None:
        """Set for how long from now the message stays invisible."""
        ...

    def report(self, body: str) -> None:
        """Send to the conductor."""
        ...

    def beat(self, body: str) -> None:
        """Send to the heartbeat queue."""
        ...
