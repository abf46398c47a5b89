"""I23: the flavor that an instance tells is its server's, and its database runs for that one."""

from __future__ import annotations

from chalicelib.domain.operations import OperationAction
from chalicelib.lifecycle import Status
from simulator.aws.dynamodb.values import Item
from simulator.cloud.model.server import Server
from simulator.invariants.base import Invariant
from simulator.invariants.rows import unseen_end
from simulator.invariants.things import owned_things


class Flavors(Invariant):
    """Compares rows with servers and with what their databases were started for, at rest."""

    id = "I23"
    title = "The flavor that an instance tells is its server's, and its database runs for it"

    def check(self) -> None:
        if self.hub.restoring:
            return
        found: dict[str, list[Server]] = {}
        for kind, instance_id, thing in owned_things(self.hub.run.cloud):
            if kind == "server":
                found.setdefault(instance_id, []).append(thing)
        for row in self.hub.rows("instances"):
            servers = found.get(row["id"], [])
            settled = row["status"] == Status.ACTIVE and "operation_id" not in row
            seen = not unseen_end(self.hub, row["id"], OperationAction.RESIZE_FLAVOR)
            if settled and len(servers) == 1 and seen:  # I4 and L2 ask whether it has just one
                self._compare(row, servers[0])

    def _compare(self, row: Item, server: Server) -> None:
        self.exercised += 1
        told = (row["flavor_id"], int(row["flavor_ram"]))
        if told != (server.flavor.id, server.flavor.ram) or server.status == "VERIFY_RESIZE":
            self.broken(
                f"its server is {server.status} on flavor {server.flavor.id}, it tells {told[0]}",
                row["id"],
            )
        guest = self.hub.run.fleet.guests.get(server.id)
        if guest is not None and guest.up and guest.passing is None:
            for what in (guest.disk.flavor, guest.runs_for):
                if what.ram != told[1]:
                    self.broken(f"its database is for {what.ram} MiB of {told[1]}", row["id"])
