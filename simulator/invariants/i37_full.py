"""I37: a database on a volume with hardly any room takes no writes, until there is room again."""

from __future__ import annotations

from typing import Final

from simulator.fleet.full import SimRoom
from simulator.fleet.guest import Guest
from simulator.invariants.base import Invariant

BOUND_SECONDS: Final = 120.0
"""From a change of the room to what follows: a second, and what the agent may be held up for by a
control plane that does not answer."""


class Full(Invariant):
    """Looks at each guest that had the time to see how much room there is.

    Who was held up, started anew or had its room changed meanwhile, also by its log, is looked at
    after the next change, and when the faults have healed.
    """

    id = "I37"
    title = "A database takes no writes while its volume has hardly room, and takes them again"

    def watch(self) -> None:
        self.hub.run.fleet.on_room.append(self._changed)

    def _changed(self, guest: Guest) -> None:
        if self._is_at_work(guest):
            seen = guest, guest.life, SimRoom(guest).left(), guest.closed
            self.hub.run.kernel.call_later(BOUND_SECONDS, self._judge, *seen)

    def _judge(self, guest: Guest, life: int, room: float, closed: bool) -> None:
        if guest.life != life or SimRoom(guest).left() != room or not self._is_at_work(guest):
            return
        self.exercised += 1
        if guest.closed != (room < 1 or (room < 2 and closed)):
            writes = "takes no writes" if guest.closed else "takes writes"
            self._tell(guest, f"{writes}, with room for {room:.1f} times of what is too little")

    def check_healed(self) -> None:
        """There is room for all of them: what the log had of it was sent, or given up."""
        for guest in self.hub.run.fleet:
            if self._is_at_work(guest):
                self.exercised += 1
                if guest.closed:
                    self._tell(guest, "takes no writes, and has room")

    def _tell(self, guest: Guest, text: str) -> None:
        instance_id = guest.agent_file.instance_id if guest.agent_file else None
        self.broken(f"the database of {guest.server_id} {text}", instance_id)

    @staticmethod
    def _is_at_work(guest: Guest) -> bool:
        """Whether its agent looks at a database that answers."""
        agent = guest.power and guest.retired is None and not guest.condition.hung
        heard = guest.memory.session is not None and not guest.condition.deaf
        database = guest.up and not guest.stuck and guest.disk.prepared and guest.passing is None
        return agent and heard and database
