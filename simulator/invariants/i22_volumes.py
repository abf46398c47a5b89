"""I22: the size that an instance tells is that of its volume and its file system."""

from __future__ import annotations

from chalicelib.domain.operations import OperationAction
from chalicelib.lifecycle import Status
from simulator.aws.dynamodb.values import Item
from simulator.cloud.model.server import Server
from simulator.cloud.model.volume import Volume
from simulator.invariants.base import Invariant
from simulator.invariants.rows import unseen_end
from simulator.invariants.things import owned_things


class Volumes(Invariant):
    """Compares rows with volumes while nothing changes them.

    With a fault the file system may be smaller, and the instance says so, as it does when nobody
    saw the end of a resize.
    """

    id = "I22"
    title = "The size that an instance tells is that of its volume, which is in its server"

    def check(self) -> None:
        if self.hub.restoring:
            return
        found: dict[str, list[Volume]] = {}
        servers: dict[str, Server] = {}
        for kind, instance_id, thing in owned_things(self.hub.run.cloud):
            if kind == "volume":
                found.setdefault(instance_id, []).append(thing)
            elif kind == "server":
                servers[instance_id] = thing
        for row in self.hub.rows("instances"):
            volumes = found.get(row["id"], [])
            settled = row["status"] == Status.ACTIVE and "operation_id" not in row
            if settled and len(volumes) == 1:  # I4 and L2 ask whether it has just one
                self._compare(row, volumes[0])
                self._require_in(servers.get(row["id"]), row, volumes[0])

    def _require_in(self, server: Server | None, row: Item, volume: Volume) -> None:
        if server is not None and volume.id not in [each.volume_id for each in server.volumes]:
            self.broken("its volume is not in its server", row["id"])

    def _compare(self, row: Item, volume: Volume) -> None:
        self.exercised += 1
        seen = not unseen_end(self.hub, row["id"], OperationAction.RESIZE_VOLUME)
        if volume.size != int(row["volume_size"]) and seen:
            self.broken(f"it has {volume.size} GiB and tells {row['volume_size']}", row["id"])
        disk = self.hub.run.fleet.volumes.get(volume.id)
        if disk and "fault_message" not in row and disk.file_system_gib != volume.size:
            self.broken(f"its file system has {disk.file_system_gib} of {volume.size}", row["id"])
