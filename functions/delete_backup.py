"""The flow `delete_backup`: what builds on it goes first, then its objects, or its snapshot, and
what of the log only it has needed.

What builds on it was to go with it, or is being deleted already and waited for. Each is deleted
by an operation of its own (`chalicelib.store.children`), which begins with what builds on that.
From its acceptance on nothing new is built on any of them: what is accepted looks at its whole
chain, and looks again when it begins to copy.
"""

from __future__ import annotations

import logging
from typing import Final

from chalicelib import aws
from chalicelib.bus import queues
from chalicelib.domain import archives as rules
from chalicelib.domain.archives import State
from chalicelib.domain.backups import CASCADE, LOST
from chalicelib.domain.flows import DELETE_BACKUP
from chalicelib.domain.operations import TERMINAL
from chalicelib.status import BackupStatus
from chalicelib.store import accepting, archives, backups, children
from chalicelib.store.models import Backup, Operation
from chalicelib.store.operations import bound_of
from functions import removing_objects, snapshot_removal
from functions.outcomes import Done, Failed, Outcome, Wait, not_yet

log = logging.getLogger(__name__)


def others(operation: Operation, _: str | None) -> Outcome:
    """See to it that nothing builds on it any more."""
    row = backups.find_backup(operation.subject_id)
    if row is None or not row.children:
        return Done()
    found = backups.building_on(row)
    begun = children.find(operation.id, [each.id for each in found])
    for each in found:
        child = begun.get(each.id)
        if child is None:
            _begin(operation, each)
        elif child.status in TERMINAL and each.status == BackupStatus.DELETE_FAILED:
            return Failed(f"Backup {each.id}, which builds on it, was not deleted: {child.reason}")
    note = f"{int(row.children)} backups that build on it are being deleted"
    # Each of them has bounds of its own.
    return not_yet(operation, note, progress=any(each.operation_id for each in found))


def _begin(operation: Operation, each: Backup) -> None:
    """One that is being deleted already, or made, is waited for."""
    if each.operation_id is not None or each.status not in DELETE_BACKUP.sources:
        return
    known = operation.arguments or {}
    arguments = {**CASCADE, LOST: True} if LOST in known else CASCADE  # a chain lies in one place
    child = children.child_of(operation, each, DELETE_BACKUP, arguments)
    if accepting.accept(each, child, parent=operation):
        queues.notify_task_manager(child.id)


def remove(operation: Operation, _: str | None) -> Outcome:
    """Remove all of it from the store, and see that nothing is left."""
    row = backups.find_backup(operation.subject_id)
    if row is None or row.is_snapshot:
        return Done()
    return removing_objects.of(operation, row)


def remove_snapshot(operation: Operation, _: str | None) -> Outcome:
    """The same of one that is a snapshot."""
    row = backups.find_backup(operation.subject_id)
    if row is None or not row.is_snapshot:
        return Done()
    return snapshot_removal.of(operation, row)


def trim(operation: Operation, _: str | None) -> Outcome:
    """Remove the pieces of the log that went on from it and that no backup needs which is kept.

    Of a log without a base nothing is removed while it is archived: the next base may be under way.
    Clause of the rest: numbers of later bases are no smaller, so that one that the index does not
    know yet needs nothing of what is removed.
    """
    row = backups.find_backup(operation.subject_id)
    archive = archives.find_archive(row.archive_id) if row and row.archive_id else None
    if row is None or archive is None:
        return Done()
    kept = backups.bases_of(
        archive, lambda each: each.id != row.id and each.status == BackupStatus.COMPLETED
    )
    if kept is None:
        return Done()  # one that was not looked at may need any of them; a later deletion removes
    floor = rules.floor_of(archive, kept)
    if floor is None:
        if archive.state == State.ENDED and not archive.number and archive.expires is None:
            archives.buried(archive)
        return Done()  # what has pieces is found by the maintenance
    outcome = removing_objects.pieces(operation, archive.location, floor)
    if isinstance(outcome, Wait) and aws.clock() > bound_of(operation, "trim"):
        # The backup is gone, and by its objects nobody would find it to try again. A later deletion
        # removes these pieces, or the maintenance when its archive is over.
        log.warning("pieces of the log %s stay for now: %s", archive.id, outcome.note)
        return Done()
    return outcome


STEPS: Final = {
    "others": others,
    "remove": remove,
    "remove_snapshot": remove_snapshot,
    "trim": trim,
}
