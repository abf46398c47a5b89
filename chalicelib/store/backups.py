"""Rows of backups: made with the operation that makes them, ended with it.

    accept     operation of the instance, row in NEW, quota, the parent's count    one transaction
    begin      BUILDING, when its guest has asked for the store                     one write
    end        operation, instance, row COMPLETED or FAILED                         one transaction

A backup that others build on counts them; one that failed, or is gone, counts no more.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final, NamedTuple

import msgspec
from pynamodb.expressions.update import Action
from pynamodb.transactions import TransactWrite

from chalicelib import aws
from chalicelib.domain import attempts
from chalicelib.domain import backups as rules
from chalicelib.domain.containers import Container
from chalicelib.domain.flows import CREATE_BACKUP, What
from chalicelib.domain.imports import Imported
from chalicelib.domain.operations import OperationAction
from chalicelib.domain.quotas import require_fit
from chalicelib.errors import Conflict, NotFound
from chalicelib.lifecycle import BEGUN, TABLES, UNFINISHED
from chalicelib.status import BackupStatus
from chalicelib.store import quotas
from chalicelib.store.base import (
    Claim,
    ConditionFailed,
    as_dict,
    transacted,
    update_if,
)
from chalicelib.store.events import Asked, new_event
from chalicelib.store.models import (
    Backup,
    BackupSchedule,
    DatastoreVersion,
    Instance,
    Operation,
)
from chalicelib.store.subjects import history_ends, setting

VERDICT: Final = "verdict"
"""Among what an operation has found: what has come of the backup that was tried out."""
KEY: Final = "key"
"""Among what an operation has made: the key of its backup."""
HELD: Final = {"backups": 1}
"""What each holds of its tenant's quota until it is deleted, however it ended."""
MOST_CHILDREN: Final = 100
"""That are deleted at once with the one that they build on; others follow."""
MOST_LOOKED_AT: Final = 1000
"""Newest backups of an instance among which one is looked for to build on."""

Items = Callable[[TransactWrite], None]


class Page(NamedTuple):
    """A page of backups; `marker` is where the next one begins, None when there is none."""

    rows: list[Backup]
    marker: str | None


def find_backup(backup_id: str) -> Backup | None:
    """The row, read consistently, or None."""
    try:
        return Backup.get(backup_id, consistent_read=True)
    except Backup.DoesNotExist:
        return None


def find_backups(backup_ids: Iterable[str]) -> list[Backup]:
    """The rows that are there, deleted or not, read consistently a hundred at a time."""
    return list(Backup.batch_get(list(backup_ids), consistent_read=True))


def get_backup(backup_id: str, tenant_id: str | None = None) -> Backup:
    """The backup, read consistently; `NotFound` for another tenant's or a deleted one."""
    row = find_backup(backup_id)
    gone = row is None or row.status == BackupStatus.DELETED
    if row is None or gone or tenant_id not in (None, row.tenant_id):
        raise NotFound(f"Backup {backup_id} could not be found.")
    return row


def chain_of(row: Backup) -> list[Backup]:
    """The backups that one builds on, the full one first, and itself; without those that are lost,
    which the caller misses by their ids."""
    if not row.parents:
        return [row]
    found = {each.id: each for each in Backup.batch_get(row.parents, consistent_read=True)}
    return [*(found[each] for each in row.parents if each in found), row]


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
    )


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


def container_of(row: Backup) -> Container | None:
    """The container that a backup lies in; None when it is in the deployment's bucket."""
    if row.container_url is None:
        return None
    return Container(row.container_url, int(row.container_key or 0))


def of_tenant(tenant_id: str, limit: int, marker: str | None, fits: Fits) -> Page:
    """A page of a tenant's backups by id; one that filters may be short and have a next one."""
    after = Backup.id > marker if marker else None
    return _page(Backup.tenant_index.query(tenant_id, after, limit=limit + 1), limit, fits)


def of_everybody(limit: int, marker: str | None, fits: Fits) -> Page:
    """The same of all tenants', in the order of the table."""
    key = {"id": {"S": marker}} if marker else None
    found = Backup.scan(limit=limit + 1, last_evaluated_key=key)
    return _page(found, limit, lambda row: row.status != BackupStatus.DELETED and fits(row))


def of_instance(instance_id: str, limit: int, marker: str | None) -> Page:
    """A page of an instance's backups, newest first; the marker is a backup's id."""
    last = find_backup(marker) if marker else None
    before = Backup.created < last.created if last is not None else None
    found = Backup.source_index.query(
        instance_id, before, scan_index_forward=False, limit=limit + 1
    )
    return _page(found, limit, lambda _: True)


Fits = Callable[[Backup], bool]


def _page(found: Iterable[Backup], limit: int, fits: Fits) -> Page:
    rows = list(found)
    marker = rows[limit - 1].id if len(rows) > limit else None
    return Page([row for row in rows[:limit] if fits(row)], marker)


def all_of(instance_id: str) -> list[Backup]:
    """The backups of an instance, newest first, `MOST_LOOKED_AT` at most; as the index knows them.

    What builds on one of them is newer, so that it is among them, too.
    """
    found = Backup.source_index.query(instance_id, scan_index_forward=False, limit=MOST_LOOKED_AT)
    return list(found)


def every_of(instance_id: str) -> list[Backup] | None:
    """The same, each as it is now; None where there are more than are looked at.

    Who removes what none of them needs has to have seen each.
    """
    ids = [each.id for each in all_of(instance_id)]
    return find_backups(ids) if len(ids) < MOST_LOOKED_AT else None


def any_of_version(version_id: str) -> bool:
    """Whether there is a backup that was made of a datastore version: who restores it needs that.

    As an index knows it that is a moment behind. The instance has the version until its backup has
    ended: who looks for instances first, and then here, misses none that is made meanwhile.
    """
    return any(True for _ in Backup.version_index.query(version_id, limit=1))


def newest_complete(instance_id: str) -> Backup | None:
    """The newest backup of an instance that is complete, to build on, which no snapshot is; as far
    as the index knows."""
    found = Backup.source_index.query(
        instance_id, scan_index_forward=False, limit=MOST_LOOKED_AT, page_size=20
    )
    complete = (
        row for row in found if row.status == BackupStatus.COMPLETED and not row.is_snapshot
    )
    return next(complete, None)


def building_on(row: Backup) -> list[Backup]:
    """Those that build on a backup directly, as far as the index knows them now; a clock may have
    gone back meanwhile, so that one looks older."""
    if row.imported is not None:
        return []
    found = Backup.source_index.query(row.instance_id)
    return [each for each in found if each.parent_id == row.id][:MOST_CHILDREN]


def held_by(tenant_id: str) -> int:
    """What a tenant's backups hold of its quota."""
    rows = Backup.tenant_index.query(tenant_id)
    return sum(int(row.held.get("backups", 0)) for row in rows)


def making(row: Backup) -> Items:
    """What the transaction writes that accepts an operation which makes a backup.

    Clauses: the quota still fits; the parent is complete, and nothing is being done to it (a delete
    meanwhile). Raises `OverLimit`. It is asked again before each attempt.
    """
    quota = quotas.get_quota(row.tenant_id)
    require_fit(quotas.used_of(quota), HELD, quotas.limits_of(quota))
    parent = row.parent_id
    there = (Backup.status == BackupStatus.COMPLETED) & Backup.operation_id.does_not_exist()

    def build(write: TransactWrite) -> None:
        write.save(row, condition=Backup.id.does_not_exist())
        quotas.reserve(write, quota, HELD)
        if parent is not None:
            write.update(Backup(parent), actions=[Backup.children.add(1)], condition=there)

    return build


def reading(backup_id: str, operation_id: str) -> Items:
    """What the transaction writes that accepts a restore, or a trial: that it reads a backup.

    Raises `Conflict` when that cannot be read any more, it or what it builds on. Clauses: it is
    complete, nothing is done to it (a delete meanwhile), and nobody else has begun to read it.
    """
    row = find_backup(backup_id)
    chain = chain_of(row) if row is not None else []
    going = any(
        each.status != BackupStatus.COMPLETED or each.operation_id is not None for each in chain
    )
    if row is None or going:
        raise Conflict(f"Backup {backup_id} is being deleted.")
    before = row.readers
    readers = [*_live(before or []), operation_id]
    attribute = Backup.readers
    same = attribute.does_not_exist() if before is None else attribute == before
    same &= (Backup.status == BackupStatus.COMPLETED) & Backup.operation_id.does_not_exist()
    actions: list[Action] = [Backup.readers.set(readers)]
    return lambda write: write.update(row, actions=actions, condition=same)


def read_now(rows: Iterable[Backup]) -> set[str]:
    """The ids of those that a restore or a trial reads which lives."""
    return {row.id for row in rows if row.readers and _live(row.readers)}


def below(row: Backup) -> list[Backup]:
    """Those that build on a backup, directly or not, as far as the index knows them now."""
    if row.imported is not None:
        return []
    return [each for each in all_of(row.instance_id) if row.id in each.parents]


def _live(operation_ids: list[str]) -> list[str]:
    found = Operation.batch_get(operation_ids, consistent_read=True) if operation_ids else ()
    live = {row.id for row in found if row.live is not None}
    return [each for each in operation_ids if each in live]


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
    return find_backup(row.id) or row


def reached(rows: Iterable[Backup], container: Container) -> None:
    """Have backups in a container read with the key that is there now."""
    for row in rows:
        if row.container_url == container.url and row.container_key != container.key:
            same = Backup.container_key == row.container_key
            with contextlib.suppress(ConditionFailed):  # somebody else has done so
                update_if(row, [Backup.container_key.set(container.key)], same)


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


def ending(operation: Operation, what: What, reason: str) -> Items:
    """What the end of an operation writes beside, if it was to make a backup, or to try one out.

    Clause: the backup is unfinished. One whose row is lost, or has ended, is left so.
    """
    if operation.action == OperationAction.VERIFY_BACKUP and what is What.SUCCEEDED:
        return verifying(operation)
    if operation.action not in rules.MAKING:
        return lambda _: None
    row = find_backup((operation.arguments or {})["backup"])
    if row is None or row.status not in UNFINISHED:
        return lambda _: None
    if what is What.SUCCEEDED:
        actions = outcome(row, what, as_dict(operation.resources)["backup"])
        leave: Items = lambda _: None  # noqa: E731
    else:
        actions, leave = outcome(row, what, reason=reason), _failing(row, operation)
    same = Backup.status == row.status

    def build(write: TransactWrite) -> None:
        write.update(row, actions=actions, condition=same)
        leave(write)

    return build


def _failing(row: Backup, operation: Operation) -> Items:
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


def verifying(operation: Operation) -> Items:
    """What the end of a trial writes of its backup, and tells. Clause: it is there."""
    row = find_backup((operation.arguments or {})["backup"])
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
        return actions + setting(Backup, made)
    return [*actions, Backup.fault_message.set(reason[:1024]), Backup.fault_created.set(now)]


def counts(row: Backup) -> bool:
    """Whether its parent counts it: until it has failed, or is gone."""
    if row.status == BackupStatus.DELETED:
        return False
    return row.status in UNFINISHED or row.checksum is not None


def leaving(row: Backup) -> Items:
    """What a backup writes that its parent no longer counts, if that has a row and does count."""
    parent = find_backup(row.parent_id) if row.parent_id is not None else None
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
