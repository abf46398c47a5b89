"""F13: a guest's disk is slow, or full. Backups and read errors come with the flows that read."""

from __future__ import annotations

from simulator.faults.guests import GuestFault

MEAN_SECONDS = 600.0
SLOWNESS = (2.0, 60.0)


class BadDisk(GuestFault):
    id = "F13"
    title = "bad disk"
    range = (0.0, 0.1)
    unit = "share of the time"

    def install(self) -> None:
        self.on = True
        self.at_rate(self._spoil, self.strength * 3600.0 / MEAN_SECONDS)

    def _spoil(self, server_id: str) -> None:
        instance_id = self.instance_of(server_id)
        if self.stream.random() < 0.7:
            slowness = self.stream.uniform(*SLOWNESS)
            self.inject(f"the disk of {server_id} is {slowness:.0f} times slower", instance_id)
            self.run.fleet.slow_disk(server_id, slowness)
        else:
            self.inject(f"the disk of {server_id} is full", instance_id)
            self.run.fleet.fill_disk(server_id)
        self.run.kernel.call_later(self.later(MEAN_SECONDS), self._mend, server_id)

    def _mend(self, server_id: str) -> None:
        guest = self.run.fleet.guests.get(server_id)
        if guest is not None:
            guest.disk.full = False
            self.run.fleet.slow_disk(server_id, 1.0)
