"""I44: what a restore of tables has lost is found again or told, and nothing of it is removed."""

from __future__ import annotations

from typing import Final

from chalicelib.cloud.names import BACKUP_KEY
from chalicelib.domain.archives import State
from chalicelib.domain.operations import TERMINAL, OperationAction, OperationStatus
from chalicelib.status import BackupStatus, Status
from simulator.aws.dynamodb.values import Item
from simulator.effects import Effect
from simulator.invariants.base import Invariant
from simulator.swift import backup_of_url
from simulator.template import BACKUPS_BUCKET

_DELETES: Final = frozenset({"DeleteObject", "DeleteObjects"})
_OVER: Final = frozenset({*TERMINAL} - {OperationStatus.FAILED})


class Restored(Invariant):
    """Looks at what is removed in the store and in the cloud, and in the end at each row that a
    restore (F23) has lost, and at archives, which an instance must know to be restored with.

    A delete that was accepted before goes on; what was not complete is nobody's loss.
    """

    id = "I44"
    title = "What a restore of tables has lost is found again or told, and nothing of it is removed"

    def watch(self) -> None:
        self.hub.on_effect("s3", self._in_bucket)
        self.hub.on_effect("swift", self._in_container)
        self.hub.on_effect("openstack", self._in_cloud)

    # ---------------------------------------------------------------------------- removals

    def _in_bucket(self, effect: Effect) -> None:
        what = effect.what
        if effect.call not in _DELETES or what.get("Bucket") != BACKUPS_BUCKET:
            return
        asked = what["Delete"]["Objects"] if "Delete" in what else [what]
        for place in dict.fromkeys(each["Key"].split("/")[2] for each in asked):
            self._removed(place)

    def _in_container(self, effect: Effect) -> None:
        backup_id = backup_of_url(effect.what["Url"]) if effect.call in _DELETES else None
        if backup_id is not None:
            self._removed(backup_id)

    def _in_cloud(self, effect: Effect) -> None:
        if effect.call != "snapshots.delete":
            return
        snapshots = self.hub.run.cloud.volume.snapshots.snapshots
        found = snapshots.get(effect.what["snapshot_id"])
        if found is not None and BACKUP_KEY in found.metadata:
            self._removed(found.metadata[BACKUP_KEY])

    def _removed(self, backup_id: str) -> None:
        """Something of a backup, or of an archive of a log, is removed."""
        if self.hub.is_lost("archives", backup_id):
            self.exercised += 1
            log = self.hub.lost["archives"][backup_id]
            self.broken(
                f"pieces of the log {backup_id} are removed, whose row is lost", _whose(log)
            )
        lost = self._lost_backups().get(backup_id)
        if lost is None or self.hub.row("backups", backup_id) is not None:
            return
        self.exercised += 1
        if not self._has_delete(backup_id):
            self.broken(f"objects of {backup_id} are removed, whose row is lost", _whose(lost))

    # ------------------------------------------------------------------------------ the end

    def check_healed(self) -> None:
        for backup_id, lost in self._lost_backups().items():
            self._is_found_or_told(backup_id, lost)
        for row in self.hub.rows("archives"):
            self._is_wanted(row)

    def _is_found_or_told(self, backup_id: str, lost: Item) -> None:
        if self.hub.row("backups", backup_id) is not None or self._has_delete(backup_id):
            return
        if self.hub.is_lost("instances", lost["instance_id"]):
            return  # deleted since: what lies in the store is told by the look for strays
        self.exercised += 1
        snapshots = self.hub.run.cloud.volume.snapshots.snapshots
        if "volume_id" in lost:
            if lost["snapshot_id"] in snapshots:
                self.broken(f"{backup_id} has a snapshot, and no row any more", _whose(lost))
        elif not any(backup_id in told for told in self.hub.told_of_restore):
            self.broken(f"{backup_id} is lost, and nobody was told", _whose(lost))

    def _is_wanted(self, row: Item) -> None:
        """An archive goes on for its instance, or has ended."""
        instance = self.hub.row("instances", row["instance_id"])
        if row["state"] == State.ENDED or instance is None or instance["status"] == Status.DELETED:
            return  # its schedule ends it within a day
        self.exercised += 1
        if instance.get("archive_id") != row["id"]:
            text = f"the archive {row['id']} goes on, and it wants {instance.get('archive_id')}"
            self.broken(text, row["instance_id"])

    def _lost_backups(self) -> dict[str, Item]:
        """Those that were complete, and are not their tenant's own."""
        return {
            each: row
            for each, row in self.hub.lost.get("backups", {}).items()
            if row["status"] == BackupStatus.COMPLETED and "imported" not in row
        }

    def _has_delete(self, backup_id: str) -> bool:
        """Whether a delete of it was accepted that has not failed."""
        return any(
            row["instance_id"] == backup_id
            and row["action"] == OperationAction.DELETE_BACKUP
            and (row["status"] in _OVER or row["status"] not in TERMINAL)
            for row in self.hub.rows("operations")
        )


def _whose(row: Item) -> str:
    return str(row["instance_id"])
