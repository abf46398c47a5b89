"""L11: a database that died by itself is running again, or is told as given up."""

from __future__ import annotations

from chalicelib.service_status import ServiceStatus as Status
from simulator.fleet.guest import Guest
from simulator.fleet.managers import manager_of
from simulator.invariants.base import Invariant


class DatabasesLive(Invariant):
    """Looks at each database that should run, once the faults have healed and time has passed.

    Nobody but its own agent has started it again.
    """

    id = "L11"
    title = "A database that died by itself is running again, or is told as given up"

    def check_healed(self) -> None:
        for guest in self.hub.run.fleet.guests.values():
            if self._should_run(guest):
                self.exercised += 1
                if not guest.up:
                    status = manager_of(guest, guest.life).seen().status
                    self._judge(guest, status)

    def _judge(self, guest: Guest, status: Status) -> None:
        if status is not Status.FAILED:
            instance_id = guest.agent_file.instance_id if guest.agent_file else None
            self.broken(f"the database of {guest.server_id} is {status} and stays so", instance_id)

    @staticmethod
    def _should_run(guest: Guest) -> bool:
        return (
            guest.power and guest.retired is None and guest.disk.prepared and not guest.disk.stopped
        )
