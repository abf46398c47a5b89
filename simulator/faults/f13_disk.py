"""F13: a guest's disk is slow, full, or cannot be read; its volume fills up, and empties again."""

from __future__ import annotations

from typing import Final

from simulator.faults.guests import GuestFault

MEAN_SECONDS: Final = 600.0
SLOWNESS: Final = (2.0, 60.0)
FILLED: Final = 0.5
EASED: Final = 1.5
"""Of room, in times of what is so little that a database takes no writes."""
FORMS: Final = ("slow", "slow", "slow", "full", "unreadable", "filling")


class BadDisk(GuestFault):
    id = "F13"
    title = "bad disk"
    range = (0.0, 0.3)
    unit = "share of the time"

    def install(self) -> None:
        self.on = True
        self.at_rate(self._spoil, self.strength * 3600.0 / MEAN_SECONDS)

    def _spoil(self, server_id: str) -> None:
        fleet, instance_id = self.world.fleet, self.instance_of(server_id)
        form = self.stream.choice(FORMS)
        if form == "slow":
            slowness = self.stream.uniform(*SLOWNESS)
            self.inject(f"the disk of {server_id} is {slowness:.0f} times slower", instance_id)
            fleet.slow_disk(server_id, slowness)
        elif form == "full":
            self.inject(f"the disk of {server_id} is full", instance_id)
            fleet.fill_disk(server_id)
        elif form == "filling":
            if fleet.fill_with_log(server_id, FILLED):
                self.inject(f"the log fills the volume of {server_id}", instance_id)
                return  # there is room when that is sent, or given up
            self.inject(f"there is hardly room on the volume of {server_id}", instance_id)
            fleet.leave_room(server_id, FILLED)
            self.world.kernel.call_later(self.later(MEAN_SECONDS), self._ease, server_id)
            return
        else:
            self.inject(f"the disk of {server_id} cannot be read", instance_id)
            fleet.spoil_disk(server_id)
        self.world.kernel.call_later(self.later(MEAN_SECONDS), self._mend, server_id)

    def _ease(self, server_id: str) -> None:
        """A little room is not enough to take writes again."""
        if server_id in self.world.fleet.guests:
            if self.on:
                self.world.fleet.leave_room(server_id, EASED)
            self.world.kernel.call_later(self.later(MEAN_SECONDS), self._mend, server_id)

    def _mend(self, server_id: str) -> None:
        if server_id in self.world.fleet.guests:
            self.world.fleet.mend_disk(server_id)
