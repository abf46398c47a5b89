"""Schedules of backups at work: found by the sweeper's minute, looked at by the dispatcher.

    sweeper       finds what is due, moves that on by some minutes, and tells the dispatcher
    dispatcher    looks at one: is its instance there, is a run due, what is to be given up

A look that is lost or dies comes again when those minutes are over. A run is one transaction,
which moves the schedule on: a slot has one, whoever looks twice.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Final

from chalicelib import aws, crash, tracing
from chalicelib.bus import queues
from chalicelib.domain import backups as chains
from chalicelib.domain import retention
from chalicelib.domain.containers import Container
from chalicelib.domain.flows import CREATE_BACKUP, DELETE_BACKUP
from chalicelib.domain.schedules import begins_at, plan_of
from chalicelib.errors import BadRequest, CofferError
from chalicelib.lifecycle import Status
from chalicelib.status import BackupStatus
from chalicelib.store import accepting, archives, backups, instances, making_backups, strategies
from chalicelib.store import schedules as store
from chalicelib.store.models import Backup, BackupSchedule, Instance, Operation
from chalicelib.store.operations import operation_of
from chalicelib.taskmanager import verifications
from chalicelib.taskmanager.pages import from_both_ends
from chalicelib.taskmanager.unasked import asked_by, require_free, start

PAGE: Final = 100
MOST_A_MINUTE: Final = 2000
"""100,000 instances with a backup an hour are 1,700 a minute; what is more waits for the next."""
CLAIM_SECONDS: Final = 180.0
"""So long somebody who was told has to look: the queue's delay, and what stands before it."""
DELAY_SECONDS: Final = 45
"""Over so many seconds a minute's looks are spread: no hint of others waits behind them all."""
SOON_SECONDS: Final = 60.0
MOST_WAITED_SECONDS: Final = 900.0
"""Between two looks at an instance that is busy."""
MOST_GIVEN_UP: Final = 10
"""In one look; the next one goes on."""
MOST_LOOKED_INTO: Final = 30
"""For those: what is read by a restore stays."""

log = logging.getLogger(__name__)


def tell_due(until: float) -> int:
    """Have each schedule looked at that is due, as long as there is time; how many it told of."""
    told = 0
    with tracing.span(log, "job", step="schedules") as span, crash.scope("sweeper"):
        for due in from_both_ends(store.due_schedules, PAGE, until):
            if told >= MOST_A_MINUTE:
                log.warning("a minute's schedules are told; the next one goes on")
                break
            if store.claim(due, aws.clock() + CLAIM_SECONDS):
                queues.notify_of_schedule(due.id, int(aws.random() * DELAY_SECONDS))
                told += 1
        span.tell(count=told)
    return told


def look(schedule_id: str) -> str:
    """Do what is due of a schedule; answers what that was."""
    row = store.find_schedule(schedule_id)
    instance = instances.find_instance(row.instance_id) if row is not None else None
    if row is None:
        return "nothing"
    if instance is not None and instance.status == Status.DELETED:
        store.delete(row, None, "Its instance was deleted; the backups stay.")
        return "ended"
    if instance is None or row.next_at is None:  # lost, or disabled
        (store.look_again if row.enabled else store.rest)(row, store.look_at(row, None))
        return "nothing"
    try:
        plan_of(row)
    except BadRequest as error:  # a zone that is gone, or a release that takes less
        store.wait(row, store.look_at(row, None), error.message)
        return "nothing"
    if row.archives_log:
        archives.settle(instance, row.id)
    made = backups.all_of(instance.id)
    soon = aws.clock() + SOON_SECONDS if _give_up(row, made) else math.inf
    if row.again is not None or aws.clock() >= begins_at(row, row.next_at):
        return _run(row, instance, made, soon)
    trial = verifications.begin(row, instance, made)
    at = min(store.look_at(row, row.next_at), soon, trial.again)
    if trial.reason is not None:
        store.wait(row, at, trial.reason)
    else:
        store.look_again(row, at)
    return "looked"


def _run(row: BackupSchedule, instance: Instance, made: Sequence[Backup], soon: float) -> str:
    """Begin the backup that is due, or wait for what speaks against it."""
    try:
        operation = _accepted(row, instance, made, soon)
    except CofferError as refusal:
        return _wait(row, refusal.message)
    if operation is None:
        return "raced"  # looked at again when the claim is over
    start(operation)
    return "started"


def _accepted(
    row: BackupSchedule, instance: Instance, made: Sequence[Backup], soon: float
) -> Operation | None:
    """The operation of the run, by the rules of a request; None when another was faster."""
    require_free(instance, CREATE_BACKUP)
    assert row.next_at is not None
    slot = f"{row.name[:200]}-{datetime.fromtimestamp(row.next_at, UTC):%Y-%m-%dT%H-%MZ}"
    name = row.again or slot
    parent = _parent(row, instance, made)
    place = _place(row, instance, parent)
    backup = making_backups.new_backup(
        instance, name, parent=parent, schedule_id=row.id, container=place
    )
    operation = operation_of(
        instance,
        CREATE_BACKUP,
        arguments={"backup": backup.id, "name": name, "parent": backup.parent_id},
        asked=asked_by(row),
    )
    following = plan_of(row).next_after(aws.clock())
    if verifications.is_due(row, more=1):
        soon = min(soon, aws.clock() + SOON_SECONDS)
    beside = store.running(row, following, min(store.look_at(row, following), soon), backup)
    done = accepting.accept(instance, operation, decided_by=("generation",), beside=beside)
    return operation if done else None


def _parent(row: BackupSchedule, instance: Instance, made: Sequence[Backup]) -> Backup | None:
    """What the next backup builds on; None for a full one.

    It is the newest of the instance, as an engine keeps its log from there on, and the schedule's
    own, whose retention then is one of whole chains. Behind one that failed, or was tried out and
    is damaged, a new chain begins.
    """
    if row.again is not None:
        return None
    newest = next((each for each in made if each.status != BackupStatus.FAILED), None)
    last = next((each for each in made if each.schedule_id == row.id), None)
    if newest is None or last is None or newest.id != last.id:
        return None
    parent = backups.find_backup(last.id)  # the index may be late
    if parent is None or len(parent.parents) + 1 >= row.full_every:
        return None
    if row.archives_log and backups.container_of(parent) is not None:
        return None  # no log goes on from what lies there
    if parent.operation_id is not None:
        return None
    return parent if chains.can_build_on(backups.chain_of(parent), instance) else None


def _place(row: BackupSchedule, instance: Instance, parent: Backup | None) -> Container | None:
    """Where the next backup goes: with its chain, or where a strategy says, unless the log is to go
    on from it, which lies in the bucket."""
    if parent is not None:
        return backups.container_of(parent)
    return None if row.archives_log else strategies.container_for(instance)


def _wait(row: BackupSchedule, reason: str) -> str:
    """Try again within the slot; when that is over it is missed, and the one that has begun is
    next. Of more than one, as after an outage, that which is to come."""
    now, plan = aws.clock(), plan_of(row)
    assert row.next_at is not None
    following = plan.next_after(row.next_at)
    if now < begins_at(row, following):
        since = begins_at(row, row.next_at) if row.again is None else float(row.last_at or now)
        pause = min(max(now - since, SOON_SECONDS), MOST_WAITED_SECONDS)
        store.wait(row, now + pause, reason)
        return "waits"
    if now >= begins_at(row, plan.next_after(following)):
        following = plan.next_after(now)
    store.miss(row, following, store.look_at(row, following), reason)
    return "missed"


def _give_up(row: BackupSchedule, made: Sequence[Backup]) -> bool:
    """Begin to delete what is not kept; whether there was something."""
    now = aws.clock()
    going = retention.given_up(row, made, now)
    if not going:
        return False
    deciding = _deciding(row, made, going[:MOST_LOOKED_INTO], now)
    sure = backups.find_backups(deciding)  # the index may be late
    going = retention.given_up(row, sure, now, backups.read_now(sure))
    by_id = {each.id: each for each in sure if each.operation_id is None}
    chosen = [by_id[each] for each in going if each in by_id]
    for each in chosen[:MOST_GIVEN_UP]:
        operation = operation_of(each, DELETE_BACKUP, asked=asked_by(row))
        clauses = ("children", "readers")
        if accepting.accept(each, operation, decided_by=clauses, beside=store.unchanged(row)):
            start(operation)
    return bool(chosen)


def _deciding(
    row: BackupSchedule, made: Sequence[Backup], going: Sequence[str], now: float
) -> set[str]:
    """The ids of those that decide on what goes: its chains, and what is kept in its place. Where
    one of these is gone, others that are not among them only let more stay."""
    roots = {retention.chain_of(each) for each in made if each.id in going}
    chains = {each.id for each in made if retention.chain_of(each) in roots}
    return chains | retention.places_taken(row, made, now)
