"""F11: a guest reboots, its agent or its database is killed or hangs.

The journal survives, is torn, or is lost.
"""

from __future__ import annotations

from simulator.faults.guests import GuestFault

DATABASE = ("database", "hanging database")
HANG_SECONDS = (5.0, 300.0)


class GuestCrash(GuestFault):
    id = "F11"
    title = "guest crash"
    range = (0.1, 20.0)
    unit = "per hour"

    def install(self) -> None:
        self.on = True
        self.at_rate(self._strike_one, self.strength)

    def _strike_one(self, server_id: str) -> None:
        fleet = self.world.fleet
        form = self.stream.choice(
            ("reboot", "kill", "kill", "hang", "torn journal", "damaged journal", *DATABASE)
        )
        self.inject(f"{form} of server {server_id}", self.instance_of(server_id))
        if form == "reboot":
            fleet.reboot(server_id)
        elif form == "kill":
            fleet.crash(server_id)
        elif form == "hang":
            fleet.hang(server_id, self.stream.uniform(*HANG_SECONDS))
        elif form == "torn journal":
            fleet.tear_journal(server_id)
        elif form == "damaged journal":
            fleet.damage_journal(server_id)
        elif form == "hanging database":
            fleet.hang_database(server_id, self.stream.uniform(*HANG_SECONDS))
        else:
            fleet.crash_database(server_id)
