"""L7: a healthy guest's report is right within two heartbeat periods."""

from __future__ import annotations

import json

from chalicelib.lifecycle import Status
from chalicelib.settings import settings
from simulator.aws.dynamodb.values import Item
from simulator.fleet.guest import Guest
from simulator.fleet.managers import manager_of
from simulator.fleet.older import version_told
from simulator.invariants.base import Invariant

PERIODS = 2.0
RESOLUTION_GIB = 0.15
"""A change of 0.1 GiB is news, and sizes are stored in MiB."""


class HealthyStatus(Invariant):
    """Compares what each reachable guest would report now with what its row says, after heal."""

    id = "L7"
    title = "A healthy guest's report is right within two heartbeat periods"

    def check_healed(self) -> None:
        for row in self.hub.rows("instances"):
            if row["status"] != Status.ACTIVE or "operation_id" in row:
                continue
            server_id = json.loads(row.get("resources") or "{}").get("server_id")
            guest = self.hub.run.fleet.guests.get(server_id)
            if guest is not None and guest.power and guest.retired is None:
                self._compare(row, guest)

    def _compare(self, row: Item, guest: Guest) -> None:
        self.exercised += 1
        reported = self.hub.row("service-statuses", row["id"])
        actual = str(manager_of(guest, guest.life).seen().status)
        if reported is None:
            self.broken(f"the guest is {actual} and there is no status of it", row["id"])
            return
        age = self.hub.run.kernel.now - float(reported["updated"])
        if age > PERIODS * settings().heartbeat_seconds:
            self.broken(f"the guest is {actual} and was last heard {age:.0f} s ago", row["id"])
        elif reported["status"] != actual:
            self.broken(f"the guest is {actual}, its row says {reported['status']}", row["id"])
        else:
            self._compare_rest(guest, reported)

    def _compare_rest(self, guest: Guest, reported: Item) -> None:
        if int(reported["rejected"]) != guest.memory.rejected:
            text = (
                f"{guest.memory.rejected} messages were rejected, told are {reported['rejected']}"
            )
            self.broken(text, reported["instance_id"])
        runs = version_told(guest.disk.release, guest.runs)
        if reported.get("agent_version", "") != runs:
            text = f"its agent is of version {runs!r}, told is {reported.get('agent_version')!r}"
            self.broken(text, reported["instance_id"])
        for name, actual in manager_of(guest, guest.life).filesystem().items():
            told = reported.get(f"volume_{name}")
            if told is None or abs(float(told) - actual) > RESOLUTION_GIB:
                text = f"{actual:.3f} GiB of its volume are {name}, its row says {told}"
                self.broken(text, reported["instance_id"])
