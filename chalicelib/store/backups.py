"""Rows of backups as they are read, and who reads what is in them.

How a row comes to be and how it ends is `making_backups` and `ending_backups`.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable
from typing import Final

from pynamodb.expressions.update import Action
from pynamodb.transactions import TransactWrite

from chalicelib.domain import backups as rules
from chalicelib.domain.containers import Container
from chalicelib.errors import Conflict, NotFound, OverLimit
from chalicelib.status import BackupStatus
from chalicelib.store.base import ConditionFailed, update_if
from chalicelib.store.models import Archive, Backup, Operation

MOST_CHILDREN: Final = 100
"""That are deleted at once with the one that they build on; others follow."""
MOST_GOING: Final = 20
"""That are being deleted, and built on a backup that may be deleted behind them: a transaction has
a clause for each."""
MOST_OF_INSTANCE: Final = 10_000
"""Backups that an instance has; another one is refused: who gives some up has to see them all. They
are hourly ones of a year, and 15 MB."""
MOST_LOOKED_AT: Final = MOST_OF_INSTANCE + 1000
"""That are read of an instance at once: some may be accepted at the same time."""
MOST_SEARCHED: Final = 1000
"""Newest backups of an instance among which one is looked for to build on."""
AT_ONCE: Final = 25
"""Backups that are read once more, to be sure of them."""

Items = Callable[[TransactWrite], None]
Fits = Callable[[Backup], bool]


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


def needs_of(rows: Iterable[Backup]) -> dict[str, float]:
    """What a restore of each needs of a volume, in GiB, by id; of a snapshot the volume's size, of
    which Cinder makes no smaller one. What an older release has completed is summed here."""
    found: dict[str, float] = {}
    unknown: list[Backup] = []
    for row in rows:
        known = row.snapshot_gib if row.snapshot_gib is not None else row.needs_gib
        if known is None:
            unknown.append(row)
        else:
            found[row.id] = float(known)
    wanted = {parent_id for row in unknown for parent_id in row.parents}
    parents = {each.id: each for each in find_backups(wanted)}
    for row in unknown:
        chain = [*(parents[each] for each in row.parents if each in parents), row]
        found[row.id] = rules.needs_gib(chain)
    return found


def container_of(row: Backup) -> Container | None:
    """The container that a backup lies in; None when it is in the deployment's bucket."""
    if row.container_url is None:
        return None
    return Container(row.container_url, int(row.container_key or 0))


def all_of(instance_id: str) -> list[Backup]:
    """The backups of an instance, newest first, `MOST_LOOKED_AT` at most; as the index knows them.

    Those are all, unless an older release has taken in more. What builds on one of them is newer,
    so that it is among them, too.
    """
    found = Backup.source_index.query(instance_id, scan_index_forward=False, limit=MOST_LOOKED_AT)
    return list(found)


def bases_of(archive: Archive, fits: Fits) -> list[Backup] | None:
    """Some of the backups that an archive goes on from, the oldest that fit, each as it is now;
    none if there is none. None where there may be some beyond those that are looked at.

    What one needs of the archive the later ones need, too.
    """
    looked, found = 0, list[str]()
    for row in Backup.source_index.query(archive.instance_id, limit=MOST_LOOKED_AT):
        looked += 1
        if row.archive_id == archive.id:
            found.append(row.id)
        if len(found) == AT_ONCE:
            if sure := _fitting(found, fits):
                return sure
            found = []
    sure = _fitting(found, fits)
    return sure if sure or looked < MOST_LOOKED_AT else None


def _fitting(backup_ids: list[str], fits: Fits) -> list[Backup]:
    return [row for row in find_backups(backup_ids) if fits(row)]


def require_room(instance_id: str) -> None:
    """`OverLimit` (413) for a backup of an instance that has as many as one can have."""
    if Backup.source_index.count(instance_id, limit=MOST_OF_INSTANCE) >= MOST_OF_INSTANCE:
        raise OverLimit(f"An instance has {MOST_OF_INSTANCE} backups at most: delete some.")


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
        instance_id, scan_index_forward=False, limit=MOST_SEARCHED, page_size=20
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


def going_below(row: Backup) -> list[Backup] | None:
    """Those that build on a backup directly, where each of them is being deleted; None where one is
    not, or there are more than `MOST_GOING`."""
    if not row.children:
        return []
    if row.children > MOST_GOING:
        return None
    found = find_backups(each.id for each in building_on(row))  # the index may be late
    going = [each for each in found if each.status == BackupStatus.DELETING]
    return going if len(going) == row.children else None


def still_going(rows: Iterable[Backup]) -> Items:
    """Clauses: each of these is being deleted still. With as many children as it had then, what
    they build on has no others."""
    ids = [row.id for row in rows]

    def build(write: TransactWrite) -> None:
        for backup_id in ids:
            write.condition_check(
                Backup, backup_id, condition=Backup.status == BackupStatus.DELETING
            )

    return build


def held_by(tenant_id: str) -> int:
    """What a tenant's backups hold of its quota."""
    rows = Backup.tenant_index.query(tenant_id)
    return sum(int(row.held.get("backups", 0)) for row in rows)


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


def reached(rows: Iterable[Backup], container: Container) -> None:
    """Have backups in a container read with the key that is there now."""
    for row in rows:
        if row.container_url == container.url and row.container_key != container.key:
            same = Backup.container_key == row.container_key
            with contextlib.suppress(ConditionFailed):  # somebody else has done so
                update_if(row, [Backup.container_key.set(container.key)], same)
