"""L2: no orphan: cloud things, guests' queues, keys and reports are exactly those of live rows, and
so are the objects and the snapshots of backups."""

from __future__ import annotations

import json
import math
from collections import Counter
from typing import Any, Final

from chalicelib.cloud.names import BACKUP_KEY, INSTANCE_KEY, KEPT_KEY
from chalicelib.domain.archives import FOLDER
from chalicelib.domain.operations import OperationAction, OperationStatus
from chalicelib.lifecycle import Status
from chalicelib.status import BackupStatus
from simulator.aws.dynamodb.values import Item
from simulator.effects import Effect
from simulator.invariants.base import Invariant
from simulator.invariants.rows import held_of
from simulator.invariants.things import owned_things
from simulator.swift import backup_of_url
from simulator.template import BACKUPS_BUCKET, PREFIX

_RECORDED: Final = {
    "server": "server_id",
    "volume": "volume_id",
    "port": "port_id",
    "security group": "security_group_id",
}


_THERE: Final = (BackupStatus.COMPLETED, BackupStatus.DELETE_FAILED)
_TOLD: Final = "objects of it may be left"
"""By a flow that could not remove them, or of a restored row whose key is lost."""
_SNAPSHOT_TOLD: Final = "may be left in the cloud until its backup is deleted"


class NoOrphans(Invariant):
    """Compares what is in the cloud, in SQS and told or held by guests with the rows."""

    id = "L2"
    title = "No orphan: what exists is exactly what live rows own"

    def watch(self) -> None:
        self._looked: dict[str, float] = {}
        """When somebody has looked last at what lies below a prefix of the store."""
        self.hub.on_effect("s3", self._called)

    def check_healed(self) -> None:
        owned = self._by_instance()
        queues = self._guest_queues()
        keys = self._counted("guests")
        reports = self._counted("service-statuses")
        rows = {row["id"]: row for row in self.hub.rows("instances")}
        for instance_id in dict.fromkeys((*owned, *queues, *keys, *reports, *rows)):
            self.exercised += 1
            row = rows.get(instance_id)
            found: dict[str, list[Any]] = dict(owned.get(instance_id, {}))
            found["queue"] = queues.get(instance_id, [])
            found["key"] = [None] * keys[instance_id]
            found["report"] = [None] * reports[instance_id]
            self._compare(instance_id, row, found)
        self._objects()
        self._snapshots()

    def _called(self, effect: Effect) -> None:
        if effect.call == "ListObjectsV2" and effect.what.get("Bucket") == BACKUPS_BUCKET:
            self._looked[effect.what.get("Prefix", "")] = self.hub.run.kernel.now

    def _objects(self) -> None:
        """What lies in the store is of a backup that is there.

        What a guest has written after the last look below a backup that is over, which it did not
        know yet, the maintenance removes a day later; what could not be removed is told. In a
        container nothing is left late: there it is waited for until no guest may write. What a row
        has owned that a restore has lost stays (I44).
        """
        stored = self.hub.run.region.s3.buckets[BACKUPS_BUCKET]
        for key, written in stored.behind("", ""):
            self.exercised += 1
            location, backup_id = "/".join(key.split("/")[:3]), key.split("/")[2]
            known = self.hub.row("archives", backup_id) or self.hub.is_lost("archives", backup_id)
            if key.split("/")[1] == FOLDER and known:
                continue  # a piece of a log, whose row tells when it goes
            row = self.hub.row("backups", backup_id)
            if self.hub.is_lost("backups", backup_id):
                continue
            status = row["status"] if row is not None else BackupStatus.DELETED
            late = written.written_at > self._looked.get(f"{location}/", math.inf)
            told = _TOLD in str((row or {}).get("fault_message"))
            if status not in _THERE and not late and not told:
                text = f"objects of the backup {backup_id} left behind in {status}"
                self.broken(text, row["instance_id"] if row is not None else None)

        ours = filter(None, map(backup_of_url, self.hub.run.region.swift.urls()))
        for backup_id in dict.fromkeys(ours):
            self.exercised += 1
            row = self.hub.row("backups", backup_id)
            if self.hub.is_lost("backups", backup_id):
                continue
            status = row["status"] if row is not None else BackupStatus.DELETED
            if backup_id in self.hub.spoiled:
                continue  # what lies behind one that is lost is not found by asking for each
            if status not in _THERE and _TOLD not in str((row or {}).get("fault_message")):
                text = f"objects of the backup {backup_id} left in a container in {status}"
                self.broken(text, row["instance_id"] if row is not None else None)

    def _snapshots(self) -> None:
        """Each is of a backup that is there, and a volume that outlives its instance has one."""
        cinder = self.hub.run.cloud.volume
        for kept in cinder.snapshots.snapshots.values():
            backup_id = kept.metadata.get(BACKUP_KEY)
            if backup_id is None or kept.status == "deleting":
                continue
            self.exercised += 1
            row = self.hub.row("backups", backup_id)
            status = row["status"] if row is not None else BackupStatus.DELETED
            told = _SNAPSHOT_TOLD in str((row or {}).get("fault_message"))
            extra = row is not None and row.get("snapshot_id") != kept.id
            if (status not in _THERE or extra) and not told:
                text = f"a snapshot of the backup {backup_id} left behind in {status}"
                self.broken(text, kept.metadata[INSTANCE_KEY])
        for volume in cinder.volumes.values():
            lonely = not cinder.snapshots.of_volume(volume.id)
            if KEPT_KEY not in volume.metadata or volume.status == "deleting" or not lonely:
                continue
            row = self.hub.row("instances", volume.metadata[INSTANCE_KEY])
            if self._is_doubtful(volume.metadata[INSTANCE_KEY]):
                continue  # an operator is told
            if row is None or row["status"] == Status.DELETED:  # else its next delete takes it
                text = f"the volume {volume.id} is kept for no snapshot"
                self.broken(text, volume.metadata[INSTANCE_KEY])

    def _is_doubtful(self, instance_id: str) -> bool:
        """Whether a restore has lost an instance of which no delete has succeeded."""
        return self.hub.is_lost("instances", instance_id) and not any(
            (each["instance_id"], each["action"], each["status"])
            == (instance_id, OperationAction.DELETE, OperationStatus.SUCCEEDED)
            for each in self.hub.rows("operations")
        )

    def _compare(self, instance_id: str, row: Item | None, found: dict[str, list[Any]]) -> None:
        status = row["status"] if row is not None else Status.DELETED
        if row is not None and status in (Status.ACTIVE, Status.STOPPED):
            self._active(row, found)
            return
        if row is not None and status != Status.DELETED and held_of(row):
            return  # a failed operation says what it could not remove, and keeps its quota
        for kind, things in found.items():
            lost = row is None and instance_id in self.hub.tenants
            if kind == "report" and (lost or status != Status.DELETED):
                continue  # it is shown beside the error, and stays when a restore loses that row
            if things:
                self.broken(f"{len(things)} of {kind} left behind in {status}", instance_id)

    def _active(self, row: Item, found: dict[str, list[Any]]) -> None:
        recorded = json.loads(row.get("resources") or "{}")
        for kind, name in _RECORDED.items():
            ids = [thing.id for thing in found.get(kind, [])]
            if kind in ("server", "volume") and not ids and not self._exists(recorded.get(name)):
                continue  # it vanished: L3 asks whether that is seen
            if ids != [recorded.get(name)]:
                self.broken(f"the row owns {kind} {recorded.get(name)}, there is {ids}", row["id"])
        if len(found.get("server group", [])) != ("locality" in row):
            self.broken(f"{len(found.get('server group', []))} server groups", row["id"])
        for kind in ("queue", "key", "report"):
            if len(found[kind]) != 1:
                self.broken(f"{len(found[kind])} of {kind} of an active instance", row["id"])

    def _exists(self, thing_id: str | None) -> bool:
        cloud = self.hub.run.cloud
        return thing_id in cloud.compute.servers or thing_id in cloud.volume.volumes

    def _counted(self, table: str) -> Counter[str]:
        return Counter(row["instance_id"] for row in self.hub.rows(table))

    def _by_instance(self) -> dict[str, dict[str, list[Any]]]:
        found: dict[str, dict[str, list[Any]]] = {}
        for kind, instance_id, thing in owned_things(self.hub.run.cloud):
            found.setdefault(instance_id, {}).setdefault(kind, []).append(thing)
        return found

    def _guest_queues(self) -> dict[str, list[Any]]:
        found: dict[str, list[Any]] = {}
        beginning = f"{PREFIX}-guest-"
        for name in self.hub.run.region.sqs.queues:
            if name.startswith(beginning):
                found.setdefault(name[len(beginning) :].rpartition("-")[0], []).append(name)
        return found
