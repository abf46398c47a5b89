"""F12: a guest is cut off from the control plane, in one direction or in both."""

from __future__ import annotations

from simulator.faults.guests import GuestFault

MEAN_SECONDS = 240.0
MOST_SECONDS = 1800.0


class Partition(GuestFault):
    id = "F12"
    title = "partition"
    range = (0.0, 0.3)
    unit = "share of the time"
    missing = "guest from guest: they talk to each other when there is replication"

    def install(self) -> None:
        self.on = True
        self.at_rate(self._cut, self.strength * 3600.0 / MEAN_SECONDS)

    def _cut(self, server_id: str) -> None:
        lost = self.stream.random() < 0.7
        deaf = not lost or self.stream.random() < 0.6
        seconds = min(self.later(MEAN_SECONDS), MOST_SECONDS)
        how = "lost and deaf" if lost and deaf else "lost" if lost else "deaf"
        self.inject(f"server {server_id} is {how} for {seconds:.0f} s", self.instance_of(server_id))
        self.world.fleet.partition(server_id, lost=lost, deaf=deaf)
        self.world.kernel.call_later(seconds, self._mend, server_id)

    def _mend(self, server_id: str) -> None:
        if server_id in self.world.fleet.guests:
            self.world.fleet.partition(server_id, lost=False, deaf=False)
