"""F2: the messages of one queue in any order, so that a later one overtakes an earlier one."""

from __future__ import annotations

from simulator.faults.base import Fault


class Reorder(Fault):
    id = "F2"
    title = "reorder"
    range = (0.0, 1.0)
    fair = True

    def install(self) -> None:
        self.on = True
        self.world.queue_chances.pick = self._pick

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
