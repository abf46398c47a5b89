"""Rows of backups until they are complete: accepted with what makes them, and begun.

    accept     operation of the instance, row in NEW, quota, the parent's count    one transaction
    begin      BUILDING, when its guest has asked for the store                     one write
    end        operation, instance, row COMPLETED or FAILED                         `ending_backups`

One that is imported is complete at once.
"""

from __future__ import annotations

from typing import Any, Final

import msgspec
from pynamodb.expressions.update import Action
from pynamodb.transactions import TransactWrite

from chalicelib import aws
from chalicelib.domain import archives as log_rules
from chalicelib.domain import attempts
from chalicelib.domain import backups as rules
from chalicelib.domain.containers import Container
from chalicelib.domain.imports import Imported
from chalicelib.domain.quotas import require_fit
from chalicelib.lifecycle import BEGUN, TABLES
from chalicelib.status import BackupStatus
from chalicelib.store import archives, backups, quotas
from chalicelib.store.base import Claim, ConditionFailed, transacted, update_if
from chalicelib.store.events import Asked, new_event
from chalicelib.store.models import Backup, DatastoreVersion, Instance, Operation, Quota

KEY: Final = "key"
"""Among what an operation has made: the key of its backup."""
HELD: Final = {"backups": 1}
"""What each holds of its tenant's quota until it is deleted, however it ended."""


def new_backup(
    source: Instance,
    name: str,
    description: str | None = None,
    *,
    parent: Backup | None = None,
    schedule_id: str | None = None,
    container: Container | None = None,
    volume_id: str | None = None,
) -> Backup:
    """The row of a backup of an instance that is not stored yet. Its key comes when its guest asks
    for the store, which is the deployment's unless it is a container of the tenant's. With a
    `volume_id` it is a snapshot of that."""
    now, backup_id = aws.clock(), aws.new_id()
    parents = [*parent.parents, parent.id] if parent is not None else []
    return Backup(
        id=backup_id,
        tenant_id=source.tenant_id,
        index_tenant=source.tenant_id,
        instance_id=source.id,
        index_source=source.id,
        status=BackupStatus.NEW,
        created=now,
        updated=now,
        held=dict(HELD),
        name=name,
        description=description or None,
        datastore_version_id=source.datastore_version_id,
        datastore_name=source.datastore_name,
        datastore_version=source.datastore_version,
        datastore_version_number=source.datastore_version_number,
        manager=source.manager,
        parents=parents,
        location=rules.location(source.tenant_id, parents, backup_id),
        schedule_id=schedule_id,
        container_url=container.url if container is not None else None,
        container_key=container.key if container is not None else None,
        volume_id=volume_id,
        log_before=_log_before(source),
    )


def _log_before(source: Instance) -> dict[str, Any] | None:
    """What its guest has told so far of the archive of its log."""
    row = archives.find_archive(source.archive_id) if source.archive_id is not None else None
    if row is None:
        return None
    until_ms, position = int(row.until_ms or 0), row.until_position or ""
    told = log_rules.Before(row.id, int(row.number), until_ms, position)
    known: dict[str, Any] = msgspec.to_builtins(told)
    return known


def imported_backup(
    tenant_id: str,
    name: str,
    version: DatastoreVersion,
    container: Container,
    found: Imported,
    size_gib: float,
) -> Backup:
    """The row of a backup that somebody else has made, which is not stored yet. It is complete."""
    now, backup_id = aws.clock(), aws.new_id()
    return Backup(
        id=backup_id,
        tenant_id=tenant_id,
        index_tenant=tenant_id,
        instance_id="",
        status=BackupStatus.COMPLETED,
        created=now,
        updated=now,
        held=dict(HELD),
        name=name,
        datastore_version_id=version.id,
        datastore_name=version.datastore_name,
        datastore_version=version.name,
        datastore_version_number=version.version,
        manager=version.manager,
        location=rules.location(tenant_id, (), backup_id),
        container_url=container.url,
        container_key=container.key,
        imported=msgspec.to_builtins(found),
        checksum=found.sha256,
        size=found.size,
        volume_used=size_gib,
    )


def take_in(row: Backup, asked: Asked, claim: Claim | None = None) -> bool:
    """Store a backup that was imported; False when its version is gone, or the quota has changed.

    Raises `OverLimit`. Clauses: the quota still fits; the version is there, which counts it (a
    delete of it meanwhile, which in turn looks at the counter).
    """
    event = new_event(row.id, "backup.imported", "", row.told_to, asked)
    quota = quotas.get_quota(row.tenant_id)
    require_fit(quotas.used_of(quota), HELD, quotas.limits_of(quota))
    version, there = DatastoreVersion(row.datastore_version_id), DatastoreVersion.id.exists()

    def build(write: TransactWrite) -> None:
        write.save(row, condition=Backup.id.does_not_exist())
        write.save(event)
        quotas.reserve(write, quota, HELD)
        write.update(version, actions=[DatastoreVersion.grouped.add(1)], condition=there)

    return transacted(build, claim)


def require_room(tenant_id: str, instance_id: str) -> Quota:
    """The quota of a tenant that has room for one more backup of an instance; `OverLimit`."""
    quota = quotas.get_quota(tenant_id)
    used = quotas.used_of(quota)
    require_fit(used, HELD, quotas.limits_of(quota))
    if used["backups"] >= backups.MOST_OF_INSTANCE:
        backups.require_room(instance_id)
    return quota


def making(row: Backup) -> backups.Items:
    """What the transaction writes that accepts an operation which makes a backup.

    Clauses: the quota still fits; the parent is complete, nothing is being done to it (a delete
    meanwhile), and no trial has found it damaged. The rest of its chain the caller has looked at,
    and who makes it looks again. Raises `OverLimit`. It is asked again before each attempt.
    """
    quota = require_room(row.tenant_id, row.instance_id)
    parent = row.parent_id
    there = (Backup.status == BackupStatus.COMPLETED) & Backup.operation_id.does_not_exist()
    there &= Backup.verdict.does_not_exist() | (Backup.verdict != rules.FAILED)

    def build(write: TransactWrite) -> None:
        write.save(row, condition=Backup.id.does_not_exist())
        quotas.reserve(write, quota, HELD)
        if parent is not None:
            write.update(Backup(parent), actions=[Backup.children.add(1)], condition=there)

    return build


def begin(row: Backup, making: Operation, sealed_key: str) -> Backup:
    """Its guest is at it: it has that key from now on, unless it has one; the row as it is then.

    Clauses: it has not begun (the guest asks again), nor ended; its operation has made no key
    before, which a restored table of backups does not know: what the guest has sent is sealed with
    that one, and the row stays without any.
    """
    target = TABLES[Backup.kind][BackupStatus.NEW, BEGUN]
    actions: list[Action] = [
        Backup.status.set(target),
        Backup.updated.set(aws.clock()),
        Backup.sealed_key.set(Backup.sealed_key | sealed_key),
    ]
    first = Operation.live.exists() & Operation.resources[KEY].does_not_exist()

    def build(write: TransactWrite) -> None:
        write.update(row, actions=actions, condition=Backup.status == BackupStatus.NEW)
        write.update(making, actions=[Operation.resources[KEY].set(True)], condition=first)

    transacted(build)
    return backups.find_backup(row.id) or row


def lend(row: Backup, extended: list[attempts.Attempt]) -> bool:
    """Remember the attempts at a backup before its guest is let go on with the newest; False when
    somebody else has changed them meanwhile. Clauses: they are as they were, it is being made."""
    before, attribute = row.attempts, Backup.attempts
    same = attribute.does_not_exist() if before is None else attribute == before
    same &= Backup.status == row.status
    actions: list[Action] = [attribute.set(attempts.plain(extended))]
    try:
        update_if(row, actions, same)
    except ConditionFailed:
        return False
    return True
