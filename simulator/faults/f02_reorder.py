"""F2: the messages of one queue in any order, so that a later one overtakes an earlier one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from simulator.aws.sqs.queues import Message
from simulator.faults.base import Fault

HELD_SECONDS: Final = 2.0
"""How long a message is held back for a later one: no call that waits for an answer ends of it."""


class Reorder(Fault):
    """Of messages that wait together any is the next, and one that would be alone is held back:
    in a small fleet a queue seldom has two at once."""

    id = "F2"
    title = "reorder"
    range = (0.0, 1.0)
    fair = True

    def prepare(self) -> None:
        self._held: dict[str, tuple[int, float]] = {}

    def install(self) -> None:
        self.on = True
        self.world.queue_chances.pick = self._pick
        self.world.queue_chances.transits.append(self._transit)

    def heal(self) -> None:
        self.on = False
        self.world.queue_chances.pick = None

    def _pick(self, queue: str, count: int) -> int:
        if count < 2 or not self.hits():
            return 0
        place = self.stream.randrange(count)
        if place:
            self.inject(f"message {place} of {count} first on {queue}")
        return place

    def _transit(self, queue: str, message: Message, arrivals: Sequence[float]) -> Sequence[float]:
        """Hold a message back, or let one overtake that is held: it counts when that happens."""
        if not arrivals or not self.on:
            return arrivals
        arrives = self.world.kernel.now + arrivals[0]
        held, until = self._held.pop(queue, (0, 0.0))
        if arrives < until:
            self.inject(f"message {message.number} before {held} on {queue}")
            return arrivals
        if not self.hits():
            return arrivals
        late = self.stream.random() * HELD_SECONDS
        self._held[queue] = message.number, arrives + late
        return [each + late for each in arrivals]
