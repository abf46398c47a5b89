"""I12: every completed backup has all that it builds on, and its objects, as they were written."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Final

from chalicelib import objects
from chalicelib.bus.contract import manifest
from chalicelib.lifecycle import UNFINISHED
from chalicelib.status import BackupStatus
from simulator.aws.dynamodb.values import Item
from simulator.effects import Effect
from simulator.invariants import stored
from simulator.invariants.base import Invariant
from simulator.invariants.hub import Exchange, Hub
from simulator.invariants.rows import changed, json_of, parents_of
from simulator.swift import backup_of_url, imported_from, is_as_imported
from simulator.template import BACKUPS_BUCKET

THERE: Final = (BackupStatus.COMPLETED, BackupStatus.DELETING, BackupStatus.DELETE_FAILED)
"""What can be built on, or waits until nothing builds on it any more."""
GOING: Final = (BackupStatus.DELETING, BackupStatus.DELETED, BackupStatus.DELETE_FAILED)
"""What nothing new is built on, nor on what builds on it. Who was accepted a moment later ends
without a backup."""
_DELETES: Final = frozenset({"DeleteObject", "DeleteObjects"})


class BackupChains(Invariant):
    """Looks into the store when a backup is complete, whenever something is removed or written
    there, and at all of it now and then.

    What a fault has spoiled in the store (F18) is found when it is restored, not before.
    """

    id = "I12"
    title = "Every completed backup has all its ancestors; none is deleted under a child"

    def watch(self) -> None:
        self._sound: dict[str, dict[str, bytes]] = {}
        """What each backup was seen to be whole of, by its manifest's key: as long as just that
        lies there, it is so still, and nothing is summed once more."""
        self._below: dict[str, dict[str, None]] = {}
        """What builds on each backup, directly or not."""
        self._late: dict[str, str] = {}
        """What was accepted on a chain of which a part was going already, with that one."""
        self.hub.on_write("backups", self._written)
        self.hub.on_effect("s3", self._called)
        self.hub.on_effect("swift", self._called_in_container)
        self.hub.on_reply(self._replied)

    def _written(self, old: Item | None, new: Item | None) -> None:
        if old is None and new is not None:
            for parent_id in parents_of(new):
                self._below.setdefault(parent_id, {})[new["id"]] = None
                parent = self.hub.row("backups", parent_id)
                if parent is not None and parent["status"] in GOING and not self.hub.restoring:
                    self._late[new["id"]] = parent_id
        if old is None or new is None or not changed(old, new, "status"):
            return
        match new["status"]:
            case BackupStatus.COMPLETED if not self.hub.restoring:
                self._whole(new)
                if new["id"] in self._late:
                    text = f"{new['id']} was built on {self._late[new['id']]}, which was going"
                    self.broken(text, _whose(new))
            case BackupStatus.DELETING | BackupStatus.DELETED:
                self.hub.soon(self._goes, new["id"])

    def _goes(self, backup_id: str) -> None:
        """Nothing builds on it any more, or what does goes first."""
        if self.hub.restoring:
            return
        self.exercised += 1
        row = self.hub.row("backups", backup_id)
        if row is None:
            return
        operation = self.hub.row("operations", row.get("operation_id", ""))
        # It may wait for what is going already.
        passed = GOING if row["status"] == BackupStatus.DELETING else ()
        child = self._child_of(backup_id, passed)
        if child is not None and not json_of(operation, "arguments").get("cascade"):
            text = f"{backup_id} is {row['status']} below {child['status']} {child['id']}"
            self.broken(text, _whose(row))

    def _child_of(self, backup_id: str, passed: Sequence[str] = ()) -> Item | None:
        """What builds on it, in another status than these."""
        rows = (self.hub.row("backups", each) for each in self._below.get(backup_id, ()))
        counted = (row for row in rows if row is not None and _is_counted(row))
        return next((row for row in counted if row["status"] not in passed), None)

    def _called(self, effect: Effect) -> None:
        """Nothing of a backup that is complete is removed, or written again, and nothing is removed
        of what others build on."""
        what = effect.what
        if what.get("Bucket") != BACKUPS_BUCKET:
            return
        if effect.call in _DELETES:
            asked = what["Delete"]["Objects"] if "Delete" in what else [what]
            keys = [each["Key"] for each in asked]
        elif effect.call == "PutObject":
            keys = [what["Key"]]
        else:
            return
        removes = effect.call in _DELETES
        self._touched(dict.fromkeys(key.split("/")[2] for key in keys), removes=removes)

    def _called_in_container(self, effect: Effect) -> None:
        removes = effect.call in _DELETES
        if removes or effect.call == "PutObject":
            backup_id = backup_of_url(effect.what["Url"])
            if backup_id is None:
                self.broken("what is its tenant's own is removed, or written over")
                return
            self._touched([backup_id], removes=removes)

    def _touched(self, backup_ids: Iterable[str], *, removes: bool) -> None:
        if self.hub.restoring:
            return
        self.exercised += 1
        for backup_id in backup_ids:
            row = self.hub.row("backups", backup_id)
            if row is not None and row["status"] == BackupStatus.COMPLETED:
                self._whole(row)
            child = self._child_of(backup_id) if removes else None
            if child is not None and child["status"] != BackupStatus.DELETING:
                text = f"objects of {backup_id} are removed below {child['status']} {child['id']}"
                self.broken(text, _whose(child))

    def _replied(self, exchange: Exchange) -> None:
        """Accepted means durable."""
        path = exchange.path.partition("?")[0]
        accepted = exchange.reply.status == 202 and not exchange.tried
        if accepted and exchange.method == "POST" and path.endswith("/backups"):
            self.exercised += 1
            made = exchange.reply.document["backup"]["id"]
            if self.hub.row("backups", made) is None:
                self.broken(f"the backup {made} was accepted and left no row")

    def check(self) -> None:
        if self.hub.restoring:
            return
        rows = {row["id"]: row for row in self.hub.rows("backups")}
        children: Counter[str] = Counter()
        for row in rows.values():
            if row["status"] == BackupStatus.COMPLETED:
                self._whole(row)
            if _is_counted(row) and (parents := parents_of(row)):
                children[parents[-1]] += 1
        for row in rows.values():
            counted = int(row.get("children", 0))
            if row["status"] != BackupStatus.DELETED and counted != children[row["id"]]:
                text = f"{row['id']} counts {counted} children, and has {children[row['id']]}"
                self.broken(text, row["instance_id"])

    def _whole(self, row: Item) -> None:
        self.exercised += 1
        for parent_id in parents_of(row):
            parent = self.hub.row("backups", parent_id)
            if parent is None or parent["status"] not in THERE:
                told = "lost" if parent is None else parent["status"]
                self.broken(f"{row['id']} builds on {parent_id}, which is {told}", _whose(row))
        if row["id"] not in self.hub.spoiled and not self._is_as_seen(row):
            seen: dict[str, bytes] = {}
            why = damage_of(self.hub, row, seen)
            if why is not None:
                self.broken(f"{row['id']} is complete, and {why}", _whose(row))
            elif seen:
                self._sound[stored.manifest_key(row)] = seen

    def _is_as_seen(self, row: Item) -> bool:
        """Not of a snapshot, or of an import, which have no manifest of ours."""
        ours = "volume_id" not in row and "imported" not in row
        seen = self._sound.get(stored.manifest_key(row)) if ours else None
        return seen is not None and all(
            stored.body(self.hub.run.region, row, key) is body for key, body in seen.items()
        )


def damage_of(hub: Hub, row: Item, seen: dict[str, bytes] | None = None) -> str | None:
    """What is wrong with the objects of a complete backup; those that it has are put into `seen`
    by their keys."""
    seen = {} if seen is None else seen
    region = hub.run.region
    if "volume_id" in row:
        kept = hub.run.cloud.volume.snapshots.snapshots.get(row["snapshot_id"])
        status = kept.status if kept is not None else "gone"
        return None if status == "available" else f"its snapshot is {status}"
    if "imported" in row:
        return _changed_since(hub, row)
    key = stored.manifest_key(row)
    found = stored.body(region, row, key)
    if found is None:
        return "its manifest is not there"
    seen[key] = found
    try:
        told = manifest.opened(found, row["checksum"])
    except ValueError as error:
        return str(error)
    below = f"{row['location']}/{told.attempt}"
    for number, part in enumerate(told.parts):
        key = f"{below}/{number}"
        written = stored.body(region, row, key)
        if written is None:
            return f"part {number} is not there"
        seen[key] = written
        if (len(written), objects.checksum(written)) != (part.size, part.sha256):
            return f"part {number} is another one"
    return None


def _changed_since(hub: Hub, row: Item) -> str | None:
    """What was imported is its tenant's: nothing of ours changes or removes it."""
    url = imported_from(row)
    held = hub.run.region.swift.body(url) if url is not None else None
    if held is None:
        return "its object is not there"
    return None if is_as_imported(row, held) else "its object is another"


def _is_counted(row: Item) -> bool:
    """Whether its parent counts it: it is being made, or is complete until it is deleted."""
    status = row["status"]
    return status in UNFINISHED or ("checksum" in row and status != BackupStatus.DELETED)


def _whose(row: Item) -> str:
    return str(row["instance_id"])
