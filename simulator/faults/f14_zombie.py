"""F14: a machine that was deleted comes back with its old keys and goes on reporting.

What can come back is the server of a deleted instance, the duplicate of a server that a lost reply
left behind, and the former self of a server that was rebuilt, beside its new guest. (The server of
a guest that was expelled need not come back: it never went.)
"""

from __future__ import annotations

from simulator.faults.base import Fault
from simulator.fleet.guest import Guest

LOOK_SECONDS = 30.0
AWAKE_SECONDS = 1200.0


class Zombie(Fault):
    id = "F14"
    title = "zombie guest"
    range = (0.0, 1.0)
    unit = "share of the dead servers"
    fair = True
    missing = "after a failover: there is none yet"

    def install(self) -> None:
        self.on = True
        self._seen: set[Guest] = set()
        self._look()

    def heal(self) -> None:
        self.on = False

    def _look(self) -> None:
        if not self.on:
            return
        for guest in list(self.world.fleet.graves):
            if guest in self._seen:
                continue
            self._seen.add(guest)
            if guest.memory.session is not None and self.hits():
                self.world.kernel.call_later(self.later(120.0), self._rise, guest.server_id)
        self.world.kernel.call_later(LOOK_SECONDS, self._look)

    def _rise(self, server_id: str) -> None:
        if not self.on:
            return
        guest = self.world.fleet.zombie(server_id)
        if guest is not None:
            instance = guest.agent_file.instance_id if guest.agent_file else None
            self.inject(f"server {server_id} is back", instance)
            self.world.kernel.call_later(self.later(AWAKE_SECONDS), guest.freeze)
