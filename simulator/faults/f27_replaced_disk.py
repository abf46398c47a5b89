"""F27: the cloud's operators give a server a new root disk, and nobody tells the control plane."""

from __future__ import annotations

from contextlib import suppress
from typing import Final

from simulator.cloud.model.errors import CloudError
from simulator.faults.guests import GuestFault

REBUILT: Final = 0.5
"""The share that is rebuilt; the others are evacuated from a host that was lost."""


class ReplacedDisk(GuestFault):
    """The new agent has the old user data and no key. A rebuild is of the server's own image."""

    id = "F27"
    title = "root disk replaced"
    range = (0.05, 1.0)
    unit = "per hour"
    chance = 0.3

    def install(self) -> None:
        self.on = True
        self.at_rate(self._replace, self.strength)

    def _replace(self, server_id: str) -> None:
        compute = self.run.cloud.compute
        server = compute.servers.get(server_id)
        if server is None:
            return
        instance_id = self.instance_of(server_id)
        rebuilt = self.stream.random() < REBUILT
        with suppress(CloudError):  # Nova is at work on it, or does not rebuild it as it is
            if rebuilt:
                compute.rebuild(self.run.cloud.admin(), server_id, server.image_id)
            else:
                compute.evacuate(server_id)
            how = "rebuilt" if rebuilt else "evacuated"
            self.inject(f"server {server_id} is {how} behind our back", instance_id)
