"""Rows of schedules of backups: made, changed and deleted by their tenants, moved on by their runs.

    run        backup, operation, instance, quota; the schedule's next slot    one transaction

Each row has a time at which it is looked at, whatever for. Who looks moves that first: what is lost
on the way, or dies over it, is looked at again.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, Final, NamedTuple

from pynamodb.expressions.condition import Condition
from pynamodb.expressions.update import Action
from pynamodb.transactions import TransactWrite

from chalicelib import aws
from chalicelib.domain import schedules as rules
from chalicelib.errors import NotFound
from chalicelib.store import archives, making_backups
from chalicelib.store.backups import Items
from chalicelib.store.base import Claim, ConditionFailed, transacted, update_if
from chalicelib.store.events import Asked, new_event
from chalicelib.store.models import Backup, BackupSchedule, EventRow, Instance

LOOK_SECONDS: Final = 86400.0
"""So long at most until a schedule is looked at again: its instance may be gone."""
MOST_OF_INSTANCE: Final = 10
OFF: Final = "It was turned off."
TIMES: Final = frozenset({"cron", "interval_hours", "time_zone", "enabled"})
"""What tells when a schedule is due."""
PLANNED: Final = ("next_at", "due_at", "again", "reason", "reason_at")
"""What follows from it."""


class Page(NamedTuple):
    """A page of schedules; `marker` is where the next one begins, None when there is none."""

    rows: list[BackupSchedule]
    marker: str | None


class Due(NamedTuple):
    """A schedule that is to be looked at, and since when."""

    id: str
    due_at: float


def new_schedule(instance: Instance, values: Mapping[str, Any]) -> BackupSchedule:
    """A row that is not stored yet; `BadRequest` when it would never be due."""
    now, schedule_id = aws.clock(), aws.new_id()
    row = BackupSchedule(
        id=schedule_id,
        tenant_id=instance.tenant_id,
        place=f"{instance.id}/{schedule_id}",
        instance_id=instance.id,
        shard=rules.due_shard(schedule_id),
        created=now,
        updated=now,
        **values,
    )
    plan(row)
    return row


def plan(row: BackupSchedule) -> None:
    """Give a row that was made or changed the slot that comes next, if it is enabled."""
    now = aws.clock()
    following = rules.plan_of(row).next_after(now)
    row.next_at = following if row.enabled else None
    row.again = row.reason = row.reason_at = None
    row.due_at = look_at(row, row.next_at)


def look_at(row: BackupSchedule, slot: float | None) -> float:
    """When a schedule is to be looked at whose next slot is that one, or which has none."""
    latest = aws.clock() + LOOK_SECONDS
    return latest if slot is None else min(rules.begins_at(row, slot), latest)


def find_schedule(schedule_id: str) -> BackupSchedule | None:
    """The row, read consistently, or None."""
    try:
        return BackupSchedule.get(schedule_id, consistent_read=True)
    except BackupSchedule.DoesNotExist:
        return None


def get_schedule(schedule_id: str, tenant_id: str | None = None) -> BackupSchedule:
    """The schedule, read consistently; `NotFound` for another tenant's."""
    row = find_schedule(schedule_id)
    if row is None or tenant_id not in (None, row.tenant_id):
        raise NotFound(f"Backup schedule {schedule_id} could not be found.")
    return row


def of_tenant(tenant_id: str, instance_id: str | None, limit: int, marker: str | None) -> Page:
    """A page of a tenant's schedules, those of an instance beside each other, or of one alone.

    The marker is a place, which tells the instance, too: the row of it may be gone.
    """
    within = f"{instance_id}/" if instance_id is not None else ""
    first, last = max(marker or " ", within), f"{within}~"
    if first >= last:
        return Page([], None)
    found = BackupSchedule.tenant_index.query(
        tenant_id, BackupSchedule.place.between(first, last), limit=limit + 2
    )
    rows = [row for row in found if row.place != marker]
    return Page(rows[:limit], rows[limit - 1].place if len(rows) > limit else None)


def are_there(instance: Instance, number: int) -> bool:
    """Whether an instance has so many: those of the last moment may not be counted yet."""
    return len(of_tenant(instance.tenant_id, instance.id, number, None).rows) >= number


def create(row: BackupSchedule, asked: Asked, claim: Claim | None = None) -> bool:
    """Store a new schedule; False when another one has begun to archive the log meanwhile.

    Raises `Claimed` when the key of the request has an answer already, and `Conflict` as
    `archives.begun_by` does.
    """
    event = _event(row, "created", asked=asked)
    begin = archives.begun_by(row.instance_id, row.id) if row.archives_log else _nothing

    def build(write: TransactWrite) -> None:
        write.save(row, condition=BackupSchedule.id.does_not_exist())
        write.save(event)
        begin(write)

    return transacted(build, claim)


def change(row: BackupSchedule, values: Mapping[str, Any], asked: Asked) -> bool:
    """Change a schedule; False when it, or what archives the log, was changed meanwhile.

    Clauses: those of `_same`, so that a slot that has been run since is not due once more. A run
    that begins at the same time decides by the revision, too.
    """
    same, archive = _same(row), _switching(row, values)
    planned = PLANNED if apply(row, values) else ()
    row.revision, row.updated = row.revision + 1, aws.clock()
    changed = (*values, *planned, "revision", "updated")
    actions = _setting({name: getattr(row, name) for name in changed})
    event = _event(row, "changed", asked=asked)

    def build(write: TransactWrite) -> None:
        write.update(row, actions=actions, condition=same)
        write.save(event)
        archive(write)

    return transacted(build)


def apply(row: BackupSchedule, values: Mapping[str, Any]) -> bool:
    """Give a row what it has from now on; whether its times are others. Nothing is stored.

    Times that are given as they are leave the slot that is due, or waits, as it is.
    """
    others = any(getattr(row, name) != values[name] for name in TIMES & set(values))
    for name, value in values.items():
        setattr(row, name, value)
    if others:
        plan(row)
    elif TIMES & set(values):
        rules.plan_of(row)  # what says nothing is refused
    return others


def _switching(row: BackupSchedule, values: Mapping[str, Any]) -> Items:
    """What is written beside a change that turns archiving on or off, or the schedule."""
    wanted = (values.get(name, getattr(row, name)) for name in ("point_in_time", "enabled"))
    after = all(wanted)
    if after == row.archives_log:
        return _nothing
    if after:
        return archives.begun_by(row.instance_id, row.id)
    return archives.stopping(row.instance_id, row.id, OFF)


def _nothing(_: TransactWrite) -> None:
    return


def delete(row: BackupSchedule, asked: Asked | None, why: str = "") -> bool:
    """Take a schedule away; False when it is gone already, or its archive has moved on meanwhile.

    Its backups stay, and its archive with them, which ends.
    """
    event = _event(row, "deleted", why, asked)
    stop = archives.stopping(row.instance_id, row.id, why or "Its schedule was deleted.")

    def build(write: TransactWrite) -> None:
        write.delete(row, condition=BackupSchedule.id.exists())
        write.save(event)
        stop(write)

    return transacted(build)


def due_schedules(now: float, limit: int, *, latest: bool = False) -> list[Due]:
    """What is to be looked at, longest overdue first, or latest first."""
    due = [
        Due(row.id, row.due_at)
        for shard in rules.SHARDS
        for row in BackupSchedule.due_index.query(
            shard, BackupSchedule.due_at <= now, limit=limit, scan_index_forward=not latest
        )
    ]
    due.sort(key=lambda each: each.due_at, reverse=latest)
    return due[:limit]


def claim(due: Due, until: float) -> bool:
    """Have nobody else told of a schedule until then; False when somebody was, or it is gone.

    Clause: it is due since then (the index is late, another sweep, a change by its tenant).
    """
    row = BackupSchedule(due.id)
    try:
        update_if(row, [BackupSchedule.due_at.set(until)], BackupSchedule.due_at == due.due_at)
    except ConditionFailed:
        return False
    return True


def look_again(row: BackupSchedule, at: float) -> None:
    """Have a schedule looked at then. Clauses: those of `_same`."""
    _write(row, {"due_at": at})


def rest(row: BackupSchedule, at: float) -> None:
    """The same of one that is off; a log that an older release has archived on is no more."""
    stop = archives.stopping(row.instance_id, row.id, OFF) if row.point_in_time else _nothing
    _write(row, {"due_at": at}, beside=stop)


def wait(row: BackupSchedule, until: float, reason: str) -> None:
    """Have a slot, or a trial, tried again then, and say why it waits. Clauses: as `_same`."""
    _write(row, {"due_at": until, **_because(reason)})


def miss(row: BackupSchedule, following: float, at: float, reason: str) -> None:
    """Give a slot up for that one, look again then, and tell its tenant why. Clauses: the same."""
    values = {"next_at": following, "due_at": at, **_because(reason)}
    _write(row, values, _event(row, "missed", reason))


def _because(reason: str) -> dict[str, Any]:
    return {"reason": reason[:1024], "reason_at": aws.clock()}


def _write(
    row: BackupSchedule,
    values: Mapping[str, Any],
    event: EventRow | None = None,
    beside: Items = lambda _: None,
) -> None:
    """Change a schedule that was looked at; nothing when it is another one by now."""
    actions, same = _setting(values), _same(row)

    def build(write: TransactWrite) -> None:
        write.update(row, actions=actions, condition=same)
        if event is not None:
            write.save(event)
        beside(write)

    transacted(build)


def running(row: BackupSchedule, following: float, at: float, backup: Backup) -> Items:
    """What the transaction writes that accepts a run: its backup, the schedule's next slot, and
    when it is looked at; and that the one before was not tried out, although its time had come.

    Clauses: those of `making_backups.making` and of `_same`: a slot is run once, whoever looks
    twice.
    """
    make, same = making_backups.making(backup), _same(row)
    values = {
        "next_at": following,
        "due_at": at,
        "last_at": aws.clock(),
        "last_backup_id": backup.id,
        "unverified": row.unverified + 1,
        "again": None,
        "reason": None,
        "reason_at": None,
    }

    untried = _tells_of_trial(row) and row.unverified >= (row.verify_every or math.inf)
    event = _event(row, "untried", row.reason or "") if untried else None

    def build(write: TransactWrite) -> None:
        make(write)
        write.update(row, actions=_setting(values), condition=same)
        if event is not None:
            write.save(event)

    return build


def _tells_of_trial(row: BackupSchedule) -> bool:
    """Whether it is a trial that a schedule tells of, and not a slot."""
    return (row.reason or "").startswith(rules.TRIAL)


def unchanged(row: BackupSchedule) -> Items:
    """What a transaction looks at that takes away what a schedule does not keep.

    Clause: neither is it gone, nor has its tenant changed it, to keep more perhaps.
    """
    same = BackupSchedule.revision == row.revision
    return lambda write: write.condition_check(BackupSchedule, row.id, condition=same)


def verifying(row: BackupSchedule) -> Items:
    """What the transaction writes that accepts a trial of one of its backups.

    Clause: none has begun, and none was made, since it was read.
    """
    before = row.unverified
    count = BackupSchedule.unverified
    same = count == before if before else count.does_not_exist() | (count == 0)
    actions: list[Action] = [count.set(0)]
    if _tells_of_trial(row):
        actions += [BackupSchedule.reason.remove(), BackupSchedule.reason_at.remove()]
    return lambda write: write.update(row, actions=actions, condition=same)


def _same(row: BackupSchedule) -> Condition:
    """Clauses: neither its tenant nor a run has changed a schedule since it was read, and it is
    there."""
    same: Condition = BackupSchedule.next_at.does_not_exist()
    if row.next_at is not None:
        same = BackupSchedule.next_at == row.next_at
    same &= BackupSchedule.revision == row.revision
    return same


def _event(
    row: BackupSchedule, what: str, message: str = "", asked: Asked | None = None
) -> EventRow:
    text = f"Schedule {row.name!r} ({row.id}). {message}".rstrip()
    return new_event(row.instance_id, f"backup_schedule.{what}", text, row.tenant_id, asked)


def _setting(values: Mapping[str, Any]) -> list[Action]:
    return [
        getattr(BackupSchedule, name).remove()
        if value is None
        else getattr(BackupSchedule, name).set(value)
        for name, value in values.items()
    ]
