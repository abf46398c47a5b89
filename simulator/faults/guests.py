"""What the fault classes that strike guests have in common: whom, and how often."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from simulator.faults.base import Fault

LOOK_SECONDS: Final = 60.0


class GuestFault(Fault):
    """Strikes servers of the fleet."""

    guests_only = True

    def heal(self) -> None:
        self.on = False

    def servers(self) -> list[str]:
        """The servers that are there, in the order in which they were made."""
        return list(self.world.fleet.guests)

    def instance_of(self, server_id: str) -> str | None:
        """The instance that a server's agent serves."""
        guest = self.world.fleet.guests.get(server_id)
        return guest.agent_file.instance_id if guest and guest.agent_file else None

    def at_rate(self, strike: Callable[[str], None], per_guest_hour: float) -> None:
        """Strike a guest drawn by chance, so many times an hour for each guest."""
        count = len(self.world.fleet.guests)
        if not self.on or not per_guest_hour:
            return
        if count == 0:
            self.world.kernel.call_later(LOOK_SECONDS, self.at_rate, strike, per_guest_hour)
            return
        self.world.kernel.call_later(
            self.later(3600.0 / per_guest_hour / count), self._strike, strike, per_guest_hour
        )

    def _strike(self, strike: Callable[[str], None], per_guest_hour: float) -> None:
        servers = self.servers()
        if self.on and servers:
            strike(self.stream.choice(servers))
        self.at_rate(strike, per_guest_hour)

    def follow(self, arrived: Callable[[str], None]) -> None:
        """Be told of each server that comes after the begin, within a minute."""
        self._known = set(self.servers())
        self.world.kernel.call_later(LOOK_SECONDS, self._look, arrived)

    def _look(self, arrived: Callable[[str], None]) -> None:
        if not self.on:
            return
        servers = self.servers()
        for server_id in servers:
            if server_id not in self._known:
                arrived(server_id)
        self._known = set(servers)
        self.world.kernel.call_later(LOOK_SECONDS, self._look, arrived)
