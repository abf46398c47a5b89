"""F22: one tenant floods the API."""

from __future__ import annotations

from simulator.faults.base import Fault

FLOOD_SECONDS = (20.0, 180.0)
PAUSE_SECONDS = 1800.0


class NoisyTenant(Fault):
    id = "F22"
    title = "noisy tenant"
    range = (0.5, 20.0)
    unit = "requests a second"
    fair = True
    missing = "a guest that floods a queue: tenants alone flood here"

    def install(self) -> None:
        self.on = True
        self.until = 0.0
        self._pause()

    def heal(self) -> None:
        self.on = False

    def _pause(self) -> None:
        self.run.kernel.call_later(self.later(PAUSE_SECONDS), self._begin)

    def _begin(self) -> None:
        if not self.on:
            return
        seconds = self.stream.uniform(*FLOOD_SECONDS)
        self.until = self.run.kernel.now + seconds
        self.run.lane(self.id, seconds)
        self.run.note(self.id, f"a tenant floods the API for {seconds:.0f} s")
        self._flood()

    def _flood(self) -> None:
        if not self.on:
            return
        if self.run.kernel.now >= self.until:
            self._pause()
            return
        self.run.inject(self.id)
        self.run.workload.noise(self.stream)
        self.run.kernel.call_later(self.later(1.0 / self.strength), self._flood)
