"""Removing a backup's snapshot, and with the last one of a volume whose instance is gone that too.

The delete of an instance marks the volume first and looks for snapshots then; here the snapshot is
seen gone first, and the mark is looked for then. So one of the two sees what the other has done.

A marked volume whose instance has a row that is not DELETED is left to the next delete of that: it
failed behind the mark, or a restored table has the instance again, which may be all of its data.
"""

from __future__ import annotations

from chalicelib.cloud import snapshots, volumes
from chalicelib.lifecycle import Status
from chalicelib.store import instances
from chalicelib.store.models import Backup, Operation
from functions.outcomes import Done, Outcome, not_yet


def of(operation: Operation, row: Backup) -> Outcome:
    """Done when neither a snapshot of the backup is left nor a volume that only it has kept."""
    found = snapshots.find(row.id)
    for each in found:
        if each.status in snapshots.DELETABLE:
            snapshots.delete(each.id)
    if found:
        return not_yet(operation, f"the snapshot is {found[0].status}, and is to be gone")
    kept = volumes.get(row.volume_id) if row.volume_id is not None else None
    if kept is None or kept.kept_for is None or snapshots.of_volume(kept.id):
        return Done()
    source = instances.find_instance(kept.kept_for)
    if source is not None and source.operation_id is not None:  # its delete may have looked by now
        return not_yet(operation, f"instance {source.id} is being changed")
    if source is not None and source.status != Status.DELETED:
        return Done()
    if kept.status in volumes.DELETABLE:
        volumes.delete(kept.id)
    return not_yet(operation, f"the volume of the deleted instance is {kept.status}")
