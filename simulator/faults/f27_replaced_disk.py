"""F27: the cloud's operators give a server a new root disk, and nobody tells the control plane."""

from __future__ import annotations

from contextlib import suppress
from typing import Final

from chalicelib.status import Status
from simulator.cloud.model.errors import CloudError
from simulator.faults.guests import GuestFault
from simulator.template import PREFIX

REBUILT: Final = 0.5
"""The share that is rebuilt; the others are evacuated from a host that was lost."""


class ReplacedDisk(GuestFault):
    """The new agent has the old user data and no key. A rebuild is of the server's own image."""

    id = "F27"
    title = "root disk replaced"
    range = (0.5, 5.0)
    unit = "per hour"
    chance = 0.3

    def install(self) -> None:
        self.on = True
        self._struck: dict[str, None] = {}
        self.at_rate(self._replace, self.strength)

    @property
    def mended(self) -> bool:
        """Whether each server that should serve has a guest again that was let in."""
        rows = self.world.region.dynamodb.tables[f"{PREFIX}-instances"].items
        for server_id in self._struck:
            guest = self.world.fleet.guests.get(server_id)
            if guest is None or guest.agent_file is None or guest.memory.session is not None:
                continue
            row = rows.get(guest.agent_file.instance_id)
            if row is not None and row["status"] == Status.ACTIVE:
                return False
        return True

    def _replace(self, server_id: str) -> None:
        compute = self.world.cloud.compute
        server = compute.servers.get(server_id)
        if server is None:
            return
        instance_id = self.instance_of(server_id)
        rebuilt = self.stream.random() < REBUILT
        with suppress(CloudError):  # Nova is at work on it, or does not rebuild it as it is
            if rebuilt:
                compute.rebuild(self.world.cloud.admin(), server_id, server.image_id)
            else:
                compute.evacuate(server_id)
            self._struck[server_id] = None
            how = "rebuilt" if rebuilt else "evacuated"
            self.inject(f"server {server_id} is {how} behind our back", instance_id)
