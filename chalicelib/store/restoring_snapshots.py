"""Backups that are snapshots and have no row any more: made again from what Cinder keeps of each.

What their operations tell of them is put right at once (`restoring_backups`). A backup that lies
in the object store cannot be made again: its row held its key, which is nowhere else.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pynamodb.expressions.update import Action
from pynamodb.transactions import TransactWrite

from chalicelib import aws
from chalicelib.domain import backups as rules
from chalicelib.domain.flows import What
from chalicelib.status import BackupStatus
from chalicelib.store import ending_backups, records, restoring_backups, restoring_many
from chalicelib.store.base import ConditionFailed, transact
from chalicelib.store.events import new_event
from chalicelib.store.making_backups import HELD
from chalicelib.store.models import Backup, Quota


class Record(records.Record, kw_only=True):
    """What the cloud keeps of a row."""

    instance_id: str


def record_of(row: Backup) -> dict[str, Any]:
    """What a row can be made again from."""
    return records.of(row, Record)


def row_from(
    backup_id: str, record: Mapping[str, Any], *, snapshot_id: str, volume_id: str, size_gib: int
) -> Backup | None:
    """The row of a snapshot that is there and complete, or None: no such record."""
    known = records.read(record, Record)
    if known is None:
        return None
    return Backup(
        id=backup_id,
        index_tenant=known.tenant_id,
        index_source=known.instance_id,
        status=BackupStatus.COMPLETED,
        updated=aws.clock(),
        held=dict(HELD),
        location=rules.location(known.tenant_id, (), backup_id),
        snapshot_id=snapshot_id,
        snapshot_gib=size_gib,
        volume_id=volume_id,
        **records.values(known),
    )


def adopt(row: Backup, *, available: bool) -> bool:
    """Store a row that was made again; False when there is one meanwhile.

    What the operation that made it tells of its end is believed, and without that the snapshot
    itself. The quota's counters are for `restoring.recount`. Who dies between the two writes has
    stored one that `restore_rows` puts right.
    """
    if not available or restoring_backups.making_of(row) is not None:
        row.status = BackupStatus.NEW
    event = new_event(row.instance_id, "backup.adopted", row.name, row.tenant_id)
    nothing: list[Action] = [Quota.backups.add(0)]

    def build(write: TransactWrite) -> None:
        write.save(row, condition=Backup.id.does_not_exist())
        write.update(Quota(row.tenant_id), actions=nothing)
        write.save(event)

    try:
        transact(build)
    except ConditionFailed:
        return False
    found = restoring_backups.wrong(row)
    if found is not None and found[0] == restoring_backups.COMPLETE and not available:
        told = "Its snapshot is not whole, or on its way out, as the cloud has it."
        found = told, ending_backups.outcome(row, What.FAILED, reason=told)
    if found is not None:
        restoring_many.mend(row, found[1])
    return True
