"""F9: an index, or a read that does not ask for consistency, is up to a minute behind."""

from __future__ import annotations

from simulator.faults.base import Fault

MOST_SECONDS = 60.0


class StaleRead(Fault):
    id = "F9"
    title = "stale read"
    range = (0.0, 1.0)
    fair = True

    def prepare(self) -> None:
        self.world.most_lag_seconds = MOST_SECONDS

    def install(self) -> None:
        self.on = True
        self.world.data_chances.lags.append(self._lag)
        self.world.region.states.lag = self._short

    def heal(self) -> None:
        self.on = False
        self.world.region.states.lag = None

    def _lag(self, table: str, index: str | None) -> float:
        if not self.hits():
            return 0.0
        self.world.inject(self.id)
        return self.stream.random() ** 3 * MOST_SECONDS

    def _short(self) -> float:
        """Step Functions' descriptions are behind by seconds, not by minutes."""
        if not self.hits():
            return 0.0
        self.world.inject(self.id)
        return self.stream.random() * 2.0
