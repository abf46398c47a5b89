"""L6: a restored datastore holds exactly what the backup point held."""

from __future__ import annotations

from chalicelib.bus import contract
from chalicelib.bus.contract.arguments import StoredBackup
from chalicelib.domain.operations import OperationAction
from chalicelib.status import BackupStatus
from guest_agent.errors import GuestError
from simulator.aws.dynamodb.values import Item
from simulator.fleet.backups import made_of
from simulator.fleet.datastore import Contents, Volume
from simulator.fleet.troves import unpacked
from simulator.invariants import stored
from simulator.invariants.base import Invariant
from simulator.invariants.rows import changed, json_of, parents_of
from simulator.swift import imported_from, is_as_imported


class Restores(Invariant):
    """Keeps every state of a database from the moment at which a backup of it is asked for.

    The position that the backup tells is that of its point, not before that moment. A restore's
    volume is compared with the state at that point when its guest says that it is done: before its
    database takes writes. With what is done since I14 goes on. In the end each complete backup is
    read out of the store as a restore reads it, whether somebody has restored it or not.
    """

    id = "L6"
    title = "A restored datastore holds exactly what the backup point held"

    def watch(self) -> None:
        self._begun: dict[str, tuple[Volume, int]] = {}
        """Of each backup that is made: the volume, and its position when it was asked for."""
        self.hub.on_write("commands", self._command)
        self.hub.on_write("backups", self._backup)

    def _volume(self, instance_id: str) -> Volume | None:
        """What the one server of an instance has."""
        found = [guest.volume for guest in self.hub.run.fleet.of_instance(instance_id)]
        return found[0] if len(found) == 1 else None

    def _command(self, old: Item | None, new: Item | None) -> None:
        if new is None:
            return
        if new["method"] == contract.CREATE_BACKUP.name and old is None:
            self._asked(new)
        answered = changed(old, new, "answered") and "result" in new and "error" not in new
        if not answered:
            return
        if new["method"] == contract.APPLY_BACKUP.name or self._adopts(new):
            self._applied(new)

    def _adopts(self, command: Item) -> bool:
        """Whether a guest was to go on with what a snapshot holds."""
        if command["method"] != contract.REBUILD.name:
            return False
        operation = self.hub.row("operations", command["operation_id"])
        return operation is not None and operation["action"] == OperationAction.RESTORE_SNAPSHOT

    def _backup_of(self, command: Item) -> str:
        operation = self.hub.row("operations", command["operation_id"])
        return str(json_of(operation, "arguments")["backup"])

    def _asked(self, command: Item) -> None:
        volume = self._volume(command["instance_id"])
        if volume is not None:
            volume.past = {volume.contents.log_position: volume.contents}
            self._begun[self._backup_of(command)] = volume, volume.contents.log_position

    def _backup(self, old: Item | None, new: Item | None) -> None:
        if old is None and new is not None and "volume_id" in new and not self.hub.restoring:
            self._snapshot_asked(new)
        if old is None and new is not None and "imported" in new:
            self._taken_in(new)
        if new is None or not changed(old, new, "status"):
            return
        if new["status"] == BackupStatus.DELETED:
            self.hub.points.pop(new["id"], None)
        if new["id"] not in self._begun:
            return
        if new["status"] == BackupStatus.COMPLETED:
            self._completed(new, *self._begun[new["id"]])
        if new["status"] in (BackupStatus.COMPLETED, BackupStatus.FAILED):
            self._begun.pop(new["id"])[0].past = None

    def _completed(self, row: Item, volume: Volume, begun: int) -> None:
        self.exercised += 1
        position = self._position(row)
        point = (volume.past or {}).get(position)
        if point is None or position < begun:
            text = f"{row['id']} is of position {position}, and was asked for at {begun}"
            self.broken(text, row["instance_id"])
        else:
            self.hub.points[row["id"]] = point

    def _taken_in(self, row: Item) -> None:
        """What it has to hold lies there already, unless somebody has changed it meanwhile."""
        url = imported_from(row)
        body = self.hub.run.region.swift.body(url) if url is not None else None
        point = unpacked(body) if body is not None and is_as_imported(row, body) else None
        if point is None:
            self.hub.spoiled[row["id"]] = None
        else:
            self.exercised += 1
            self.hub.points[row["id"]] = point

    def _snapshot_asked(self, row: Item) -> None:
        volume = self._volume(row["instance_id"])
        if volume is not None:
            volume.past = {volume.contents.log_position: volume.contents}
            self._begun[row["id"]] = volume, volume.contents.log_position

    def _position(self, row: Item) -> int:
        """Up to where a complete backup goes: as its guest has told, or as the snapshot is."""
        if "volume_id" not in row:
            return int(row["position"])
        return self.hub.run.fleet.snapshots[row["snapshot_id"]].contents.log_position

    def _applied(self, command: Item) -> None:
        volume = self._volume(command["instance_id"])
        operation = self.hub.row("operations", command["operation_id"])
        if json_of(operation, "arguments").get("log"):
            return  # of another moment: L12
        backup_id = self._backup_of(command)
        point = self.hub.points.get(backup_id)
        if volume is None or point is None:
            return
        self.exercised += 1
        if not volume.contents.same_as(point):
            text = (
                f"of {backup_id} {_told(point)} are to be there, and {_told(volume.contents)} are"
            )
            self.broken(text, command["instance_id"])

    def check_healed(self) -> None:
        for row in list(self.hub.rows("backups")):
            point = self.hub.points.get(row["id"])
            chain = [self.hub.row("backups", each) for each in (*parents_of(row), row["id"])]
            spoiled = any(each is None or each["id"] in self.hub.spoiled for each in chain)
            nowhere = "volume_id" in row  # a snapshot: see its restores
            if row["status"] != BackupStatus.COMPLETED or point is None or spoiled or nowhere:
                continue
            if "imported" in row:
                continue  # nobody's manifest: I12 sees that it stays, a restore what is in it
            self.exercised += 1
            try:
                held = self._restored([each for each in chain if each is not None])
            except (ValueError, GuestError) as error:
                self.broken(f"{row['id']} cannot be restored: {error}", row["instance_id"])
            else:
                if not held.same_as(point):
                    text = f"of {row['id']} {_told(point)} are to be there, and {_told(held)} are"
                    self.broken(text, row["instance_id"])

    def _restored(self, chain: list[Item]) -> Contents:
        """What a restore of the last of a chain makes."""
        wanted = [
            StoredBackup(row["id"], row["location"], row["checksum"], row["position"])
            for row in chain
        ]
        return made_of(
            wanted, {row["id"]: stored.content_of(self.hub.run.region, row) for row in chain}
        )


def _told(contents: Contents) -> str:
    rows = sorted(
        f"{name}.{key}={value}"
        for name, database in contents.databases.items()
        for key, value in database.rows.items()
    )
    users = sorted(name for name, _ in contents.users)
    return f"{sorted(contents.databases)}, {users}, {rows}"
