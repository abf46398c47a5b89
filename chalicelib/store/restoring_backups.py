"""Backups of a restored table: what made or deleted each is told by the operations since.

    being made, nobody is at it      as that has ended; FAILED when how is not known
    deleted since, or being deleted  as that has ended
    made since, and not found again  told: its key is nowhere else
    what builds on it                counted again, when all rows are right

Without it what no operation will ever end could not be deleted, and held its quota for ever.
"""

from __future__ import annotations

from collections.abc import Iterable
from enum import StrEnum
from typing import Final

from pynamodb.expressions.update import Action

from chalicelib import aws
from chalicelib.domain.backups import MAKING
from chalicelib.domain.flows import CREATE_BACKUP, DELETE_BACKUP, FLOWS, What
from chalicelib.domain.operations import OperationAction, OperationStatus
from chalicelib.lifecycle import UNFINISHED
from chalicelib.status import BackupStatus
from chalicelib.store import backups, ending_backups
from chalicelib.store.base import as_dict
from chalicelib.store.models import Backup, Operation
from chalicelib.store.operations import operations_of
from chalicelib.store.restoring import NEWEST_OPERATIONS
from chalicelib.store.restoring_many import LOST
from chalicelib.store.subjects import faulty

COMPLETE: Final = "it is complete"
LEFT: Final = f"{LOST} All objects of it may be left until it is deleted."
"""Of one that may be whole, but that nobody can open."""
_MADE: Final = (OperationAction.CREATE_BACKUP, OperationStatus.SUCCEEDED)
FIRST_OPERATIONS: Final = 5
"""Among so many of its instance, since it was accepted, is the one that makes a backup."""


def wrong(row: Backup) -> tuple[str, list[Action]] | None:
    """What a row does not know of its operations, and the actions that put it right; or None."""
    if row.status == BackupStatus.DELETED:
        return None
    newest = next(iter(operations_of(row.id, 1)), None)
    if newest is not None and newest.live is not None:
        if row.operation_id == newest.id:
            return None
        return "delete_backup is under way", [
            Backup.operation_id.set(newest.id),
            *_is(DELETE_BACKUP.during),
        ]
    if newest is not None and newest.status == OperationStatus.SUCCEEDED:
        gone = [*_is(BackupStatus.DELETED), Backup.held.set({}), *ending_backups.buried()]
        return "it was deleted", [*gone, Backup.operation_id.remove()]
    failed_since = newest is not None and row.status != DELETE_BACKUP.failed
    if failed_since or row.status == DELETE_BACKUP.during:
        reason = newest.reason if newest is not None else None
        failed = [*_is(DELETE_BACKUP.failed), *faulty(reason or LOST)]
        return "its deletion has failed", [*failed, Backup.operation_id.remove()]
    return _unfinished(row) if row.status in UNFINISHED else None


def lost(instance_ids: Iterable[str]) -> dict[str, Operation]:
    """Backups of these instances that were complete and have no row, with what has made each.

    Of the newest operations of each. One that was deleted, or is being, is none; nor is a snapshot,
    which tells by itself that it is there.
    """
    made: dict[str, Operation] = {}
    for instance_id in instance_ids:
        for each in operations_of(instance_id, NEWEST_OPERATIONS):
            if (each.action, each.status) == _MADE:
                made[(each.arguments or {})["backup"]] = each
    known = {row.id for row in backups.find_backups(made)}
    return {
        backup_id: each
        for backup_id, each in made.items()
        if backup_id not in known and not _is_deleted(backup_id)
    }


def _is_deleted(backup_id: str) -> bool:
    newest = next(iter(operations_of(backup_id, 1)), None)
    return newest is not None and (
        newest.live is not None or newest.status == OperationStatus.SUCCEEDED
    )


def miscounted(row: Backup) -> tuple[str, list[Action]] | None:
    """The same of how many build on it."""
    if row.status == BackupStatus.DELETED or row.imported is not None:
        return None
    found = Backup.source_index.query(row.instance_id)
    counted = sum(each.parent_id == row.id and ending_backups.counts(each) for each in found)
    if counted == row.children:
        return None
    return f"{counted} build on it", [Backup.children.set(counted)]


def _unfinished(row: Backup) -> tuple[str, list[Action]] | None:
    making = making_of(row)
    if making is None:
        return "what made it is lost", ending_backups.outcome(row, What.FAILED, reason=LEFT)
    if making.live is not None:
        return None
    made = as_dict(making.resources).get("backup")
    if row.sealed_key is None and not row.is_snapshot:
        return "its key is lost", ending_backups.outcome(row, What.FAILED, reason=LEFT)
    if making.status == OperationStatus.SUCCEEDED and made is not None:
        return COMPLETE, ending_backups.outcome(row, What.SUCCEEDED, made)
    what = FLOWS[CREATE_BACKUP.action].ended(as_dict(making.ended))
    return "it has failed", ending_backups.outcome(row, what, reason=making.reason or LOST)


def making_of(row: Backup) -> Operation | None:
    """The operation that makes it, which was accepted with it."""
    since = Operation.created >= row.created
    found = Operation.subject_index.query(row.instance_id, since, limit=FIRST_OPERATIONS)
    about = (each for each in found if each.action in MAKING)
    return next((each for each in about if (each.arguments or {})["backup"] == row.id), None)


def _is(status: StrEnum) -> list[Action]:
    return [Backup.status.set(status), Backup.updated.set(aws.clock())]
