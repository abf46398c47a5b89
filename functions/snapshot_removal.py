"""Removing a backup's snapshot, and with the last one of a volume whose instance is gone that too.

The delete of an instance marks the volume first and looks for snapshots then; here the snapshot is
seen gone first, and the mark is looked for then. So one of the two sees what the other has done.

A marked volume whose instance has a row that is not DELETED is left to the next delete of that: it
failed behind the mark, or a restored table has the instance again, which may be all of its data.
So it is when that row is lost: only a delete that is known to have succeeded, or is longer ago than
any is known, lets the volume go. `coffer adopt` tells what stays.
"""

from __future__ import annotations

from typing import Final

from chalicelib import aws
from chalicelib.cloud import snapshots, volumes
from chalicelib.lifecycle import Status
from chalicelib.settings import settings
from chalicelib.store import instances
from chalicelib.store.base import as_dict
from chalicelib.store.models import Backup, Operation
from chalicelib.store.operations import operations_of
from chalicelib.store.subjects import DAY_SECONDS
from functions import kept_volumes
from functions.outcomes import Done, Outcome, not_yet
from functions.remove import require_not_given_up

MOST_OPERATIONS: Final = 50
"""Among so many of an instance, the newest, is the delete that has ended it: none comes behind."""


def of(operation: Operation, row: Backup) -> Outcome:
    """Done when neither a snapshot of the backup is left nor a volume that only it has kept."""
    if found := snapshots.find(row.id):
        return _snapshots_go(operation, found)
    kept = volumes.get(row.volume_id) if row.volume_id is not None else None
    if kept is None or kept.kept_for is None or snapshots.of_volume(kept.id):
        return Done()
    source = instances.find_instance(kept.kept_for)
    if source is None:
        known = operations_of(kept.kept_for, MOST_OPERATIONS)
        changing, deleted = any(each.live for each in known), kept_volumes.was_deleted(known)
        deleted |= not known and _is_older_than_history(row)
    else:
        changing, deleted = source.operation_id is not None, source.status == Status.DELETED
    if changing:  # its delete may have looked by now
        return not_yet(operation, f"instance {kept.kept_for} is being changed")
    if not deleted:
        return Done()
    require_not_given_up("volume", kept)
    if kept.status not in volumes.DELETABLE:
        return not_yet(operation, f"the volume of the deleted instance is {kept.status}")
    volumes.delete(kept.id)
    return _asked(operation, "volume", kept.id, kept.status)


def _is_older_than_history(row: Backup) -> bool:
    """Whether what came soon behind a backup may be known no more by itself."""
    return float(row.created) < aws.clock() - settings().deleted_row_days * DAY_SECONDS


def _snapshots_go(operation: Operation, found: list[snapshots.Snapshot]) -> Outcome:
    """Have Cinder delete them, where it can: one that has failed at it takes no deletion more."""
    for each in found:
        if each.status in snapshots.DELETABLE:
            snapshots.delete(each.id)
    for each in found:
        require_not_given_up("snapshot", each)
    return _asked(operation, "snapshot", found[0].id, found[0].status)


def _asked(operation: Operation, what: str, thing_id: str, status: str) -> Outcome:
    """Look again: what is `available` after it was asked for once is in use below Cinder, which
    takes such a deletion back without a word (RBD with clones of version 1, and others)."""
    known = f"{what}_asked"
    if as_dict(operation.resources).get(known) == thing_id and status == "available":
        note = (
            f"Cinder has {what} {thing_id} available again after each deletion, as its storage "
            "needs it still; with some that is so until the last instance that was restored from "
            "it is deleted"
        )
        return not_yet(operation, note)
    return not_yet(operation, f"the {what} is {status}, and is to be gone", {known: thing_id})
