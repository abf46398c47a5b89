"""F22: one tenant floods the API."""

from __future__ import annotations

from typing import Final

from simulator.faults.base import Fault

FLOOD_REQUESTS: Final = (20, 200)
"""One flood: a short one of a fast tenant says as much as a long one, and costs less."""
PAUSE_SECONDS: Final = 600.0


class NoisyTenant(Fault):
    id = "F22"
    title = "noisy tenant"
    range = (0.5, 20.0)
    unit = "requests a second"
    fair = True
    missing = "a guest that floods a queue: tenants alone flood here"

    def install(self) -> None:
        self.on = True
        self.left = 0
        self._pause()

    def heal(self) -> None:
        self.on = False

    def _pause(self) -> None:
        self.world.kernel.call_later(self.later(PAUSE_SECONDS), self._begin)

    def _begin(self) -> None:
        if not self.on:
            return
        self.left = self.stream.randint(*FLOOD_REQUESTS)
        self.world.lane(self.id, self.left / self.strength)
        self.world.note(self.id, f"a tenant floods the API with {self.left} requests")
        self._flood()

    def _flood(self) -> None:
        if not self.on:
            return
        if not self.left:
            self._pause()
            return
        self.left -= 1
        self.world.inject(self.id)
        self.workload.noise(self.stream)
        self.world.kernel.call_later(self.later(1.0 / self.strength), self._flood)
