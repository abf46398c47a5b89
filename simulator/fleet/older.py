"""Guests of an older release: an agent that lacks what the contract has got since, and says so.

What is newer than its release its manager does not know (`SimManager.call`). Its release it tells
only when guests did already.
"""

from __future__ import annotations

from typing import Any, Final

from chalicelib.bus.contract import FIRST_RELEASE, UPGRADE_AGENT
from guest_agent.clock import ServiceClock
from guest_agent.heartbeat import Heartbeat
from guest_agent.manager import Manager
from guest_agent.memory import Memory
from guest_agent.outbox import Outbox
from guest_agent.queues import Queues

TELLS_VERSION: Final = UPGRADE_AGENT.since


def told(release: int) -> int:
    """What the heartbeats of a guest of that release say of it; 0 is nothing."""
    return release if release > FIRST_RELEASE else 0


def heartbeat_of(
    release: int, manager: Manager, queues: Queues, clock: ServiceClock, memory: Memory
) -> Heartbeat:
    """The heartbeat of an agent of that release."""
    return Heartbeat(manager, _OlderOutbox(queues, clock, memory, release), memory)


class _OlderOutbox(Outbox):
    """Says of the release what guests of that one say."""

    def __init__(self, queues: Queues, clock: ServiceClock, memory: Memory, release: int) -> None:
        super().__init__(queues, clock, memory)
        self._told = {"release": told(release)} if told(release) else {}
        self._tells_version = release >= TELLS_VERSION

    def heartbeat(self, state: dict[str, Any]) -> None:
        newer = {"release"} if self._tells_version else {"release", "version"}
        known = {name: value for name, value in state.items() if name not in newer}
        super().heartbeat(known | self._told)


def version_told(release: int, version: str) -> str:
    """What a row tells of the version of an agent of that release."""
    return version if release >= TELLS_VERSION else ""
