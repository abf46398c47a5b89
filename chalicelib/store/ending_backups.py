"""What the end of an operation makes of the row of its backup, and what a deleted one keeps.

A backup that others build on counts them; one that failed, or is gone, counts no more.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from pynamodb.expressions.update import Action
from pynamodb.transactions import TransactWrite

from chalicelib import aws
from chalicelib.domain import backups as rules
from chalicelib.domain.flows import CREATE_BACKUP, What
from chalicelib.domain.operations import OperationAction
from chalicelib.domain.schedules import ASKER, TRIAL
from chalicelib.lifecycle import TABLES, UNFINISHED
from chalicelib.status import BackupStatus
from chalicelib.store import backups
from chalicelib.store.base import as_dict
from chalicelib.store.events import new_event
from chalicelib.store.models import Backup, BackupSchedule, Operation
from chalicelib.store.subjects import history_ends, setting

VERDICT: Final = "verdict"
"""Among what an operation has found: what has come of the backup that was tried out."""


def ending(operation: Operation, what: What, reason: str) -> backups.Items:
    """What the end of an operation writes beside, if it was to make a backup, or to try one out.

    Clause: the backup is unfinished. One whose row is lost, or has ended, is left so.
    """
    if operation.action == OperationAction.VERIFY_BACKUP:
        return verifying(operation) if what is What.SUCCEEDED else _untried(operation, reason)
    if operation.action not in rules.MAKING:
        return lambda _: None
    row = backups.find_backup((operation.arguments or {})["backup"])
    if row is None or row.status not in UNFINISHED:
        return lambda _: None
    if what is What.SUCCEEDED:
        actions = outcome(row, what, as_dict(operation.resources)["backup"])
        leave: backups.Items = lambda _: None  # noqa: E731
    else:
        actions, leave = outcome(row, what, reason=reason), _failing(row, operation)
    same = Backup.status == row.status

    def build(write: TransactWrite) -> None:
        write.update(row, actions=actions, condition=same)
        leave(write)

    return build


def _failing(row: Backup, operation: Operation) -> backups.Items:
    """What else is written when the operation that was to make a backup has failed.

    The schedule of an increment makes a full one in its place, at once, and not when its next slot
    comes: what it was to build on may be gone. Clause: the schedule is there.
    """
    leave = leaving(row)
    if not row.parents or row.schedule_id is None or operation.cancelled is not None:
        return leave
    try:
        schedule = BackupSchedule.get(row.schedule_id, consistent_read=True)
    except BackupSchedule.DoesNotExist:
        return leave
    actions: list[Action] = [
        BackupSchedule.again.set(row.name),
        BackupSchedule.due_at.set(aws.clock()),
    ]

    def build(write: TransactWrite) -> None:
        leave(write)
        write.update(schedule, actions=actions, condition=BackupSchedule.id.exists())

    return build


def _untried(operation: Operation, reason: str) -> backups.Items:
    """What else is written when a trial has come to no verdict: the schedule that has asked for it
    says why, and has its next backup tried out. Clause: the schedule is there."""
    asker = operation.user_id or ""
    if not asker.startswith(ASKER) or operation.cancelled is not None:
        return lambda _: None
    try:
        schedule = BackupSchedule.get(asker.removeprefix(ASKER), consistent_read=True)
    except BackupSchedule.DoesNotExist:
        return lambda _: None
    backup_id = (operation.arguments or {})["backup"]
    why = f"{TRIAL} {backup_id} has come to no verdict: {reason}"
    actions: list[Action] = [
        BackupSchedule.unverified.set(max(schedule.unverified, (schedule.verify_every or 1) - 1)),
        BackupSchedule.reason.set(why[:1024]),
        BackupSchedule.reason_at.set(aws.clock()),
    ]
    there = BackupSchedule.id.exists()
    return lambda write: write.update(schedule, actions=actions, condition=there)


def verifying(operation: Operation) -> backups.Items:
    """What the end of a trial writes of its backup, and tells. Clause: it is there."""
    row = backups.find_backup((operation.arguments or {})["backup"])
    if row is None or row.status == BackupStatus.DELETED:
        return lambda _: None
    found = as_dict(operation.resources)[VERDICT]
    actions = verdict(found, aws.clock())
    why = found.get("reason")
    words = f"Backup {row.name!r} ({row.id}) {'is not sound: ' + why if why else 'is sound.'}"
    kind = f"backup.verification_{found['verdict']}"
    event = new_event(row.instance_id, kind, words, row.tenant_id)

    def build(write: TransactWrite) -> None:
        write.update(row, actions=actions, condition=Backup.status != BackupStatus.DELETED)
        write.save(event)

    return build


def verdict(found: Mapping[str, Any], at: float) -> list[Action]:
    """What a trial makes of its backup's row."""
    made = {
        "verified_at": at,
        "verdict": found["verdict"],
        "verdict_reason": found.get("reason"),
    }
    return setting(Backup, made)


def outcome(
    row: Backup, what: What, made: Mapping[str, Any] = {}, reason: str = ""
) -> list[Action]:
    """What the end of the operation that made it makes of an unfinished backup."""
    now = aws.clock()
    target = TABLES[Backup.kind][BackupStatus(row.status), CREATE_BACKUP.event(what)]
    actions: list[Action] = [Backup.status.set(target), Backup.updated.set(now)]
    if what is What.SUCCEEDED:
        return actions + setting(Backup, made) + _measured(row, made)
    return [*actions, Backup.fault_message.set(reason[:1024]), Backup.fault_created.set(now)]


def _measured(row: Backup, made: Mapping[str, Any]) -> list[Action]:
    """What is known then of what a restore needs. Not by the step that has looked at it: the end
    may be another release's, which writes all that it finds."""
    if row.is_snapshot:
        return []
    last = rules.Measured(made.get("data_size"), made.get("volume_used"))
    return [Backup.needs_gib.set(rules.needs_gib([*backups.chain_of(row)[:-1], last]))]


def counts(row: Backup) -> bool:
    """Whether its parent counts it: until it has failed, or is gone."""
    if row.status == BackupStatus.DELETED:
        return False
    return row.status in UNFINISHED or row.checksum is not None


def leaving(row: Backup) -> backups.Items:
    """What a backup writes that its parent no longer counts, if that has a row and does count."""
    parent = backups.find_backup(row.parent_id) if row.parent_id is not None else None
    if parent is None or parent.children < 1:
        return lambda _: None
    counted = Backup.children >= 1
    return lambda write: write.update(parent, actions=[Backup.children.add(-1)], condition=counted)


def buried() -> list[Action]:
    """What a deleted backup's row keeps: its history, and nothing that opens anything."""
    return [
        Backup.index_tenant.remove(),
        Backup.index_source.remove(),
        Backup.sealed_key.remove(),
        Backup.expires.set(history_ends(aws.clock())),
    ]
