"""F1: the same message two or three times, at once or minutes later, also after its delete."""

from __future__ import annotations

from collections.abc import Sequence

from simulator.aws.sqs.queues import Message
from simulator.faults.base import Fault

LONGEST_SECONDS = 600.0


class Duplicates(Fault):
    id = "F1"
    title = "duplicate delivery"
    range = (0.0, 0.5)
    fair = True

    def install(self) -> None:
        self.on = True
        self.world.queue_chances.transits.append(self._transit)

    def heal(self) -> None:
        self.on = False

    def _transit(self, queue: str, message: Message, arrivals: Sequence[float]) -> Sequence[float]:
        if not arrivals or not self.hits():
            return arrivals
        copies = 1 + (self.stream.random() < 0.2)
        late = [
            self.stream.random() * (LONGEST_SECONDS if self.stream.random() < 0.3 else 2.0)
            for _ in range(copies)
        ]
        self.inject(f"{copies} more of message {message.number} on {queue}")
        return (*arrivals, *(arrivals[0] + each for each in late))
