"""The flow `create_snapshot`: Cinder makes a snapshot of the volume, which is the backup.

The database is not asked and nothing is frozen: all of it is on one volume, and it goes on with a
snapshot of that as it does after a crash. So nothing can be left standing still by who dies here.
"""

from __future__ import annotations

from typing import Final

from chalicelib.cloud import names, snapshots, volumes
from chalicelib.store import backups, restoring_snapshots
from chalicelib.store.models import Backup, Operation
from functions import snapshot_removal
from functions.create_backup import GONE
from functions.outcomes import Done, Failed, Outcome, not_yet


def snapshot(operation: Operation, _: str | None) -> Outcome:
    """Make it, and see it available. Of two that unknown results have left the oldest stays; one
    that Cinder is still at is waited for, as nobody would look for it later."""
    row = _backup(operation)
    if row is None or row.volume_id is None:
        return Failed(GONE)
    found = snapshots.find(row.id)
    for extra in found[1:]:
        if extra.status in snapshots.DELETABLE:
            snapshots.delete(extra.id)
    made = found[0] if found else _make(operation, row, row.volume_id)
    if made is None:
        return Failed("The volume has vanished.")
    late = next((each for each in found[1:] if each.status in snapshots.PASSING), None)
    if made.status == "available" and late is not None:
        return not_yet(operation, f"a snapshot too many is {late.status}")
    if made.status == "available":
        return Done({"backup": {"snapshot_id": made.id, "snapshot_gib": made.size}})
    if made.status.startswith("error"):
        return Failed(f"The snapshot went to {made.status}.")
    return not_yet(operation, f"the snapshot is {made.status}")


def _make(operation: Operation, row: Backup, volume_id: str) -> snapshots.Snapshot | None:
    """Ask for it; None where the instance has no such volume any more."""
    disk = volumes.get(volume_id)
    if disk is None or disk.owner != operation.instance_id:
        return None
    record = restoring_snapshots.record_of(row)
    marks = names.snapshot_metadata(row.id, row.instance_id, row.tenant_id, record)
    return snapshots.create(names.snapshot(row.id), volume_id=disk.id, metadata=marks)


def discard_snapshot(operation: Operation, _: str | None) -> Outcome:
    """Remove what there is of it."""
    row = _backup(operation)
    return Done() if row is None else snapshot_removal.of(operation, row)


def _backup(operation: Operation) -> Backup | None:
    return backups.find_backup((operation.arguments or {})["backup"])


STEPS: Final = {"snapshot": snapshot, "discard_snapshot": discard_snapshot}
