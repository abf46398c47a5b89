"""Each so-many-th backup of a schedule is tried out, when it is complete.

    a run       counts what was not tried out since     in the transaction that accepts the backup
    a trial     begins the count anew                   in the transaction that accepts it

What comes of it stands on the backup. One that is refused is asked for again, ever more patiently,
and one that fails without a verdict is not: the next backup is tried out. The schedule tells why.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Final, NamedTuple

from chalicelib import aws
from chalicelib.domain import backups as rules
from chalicelib.domain.flows import VERIFY_BACKUP
from chalicelib.domain.schedules import TRIAL
from chalicelib.errors import CofferError
from chalicelib.lifecycle import UNFINISHED
from chalicelib.status import BackupStatus
from chalicelib.store import accepting
from chalicelib.store import schedules as store
from chalicelib.store.models import Backup, BackupSchedule, Instance, Operation
from chalicelib.store.operations import operation_of
from chalicelib.taskmanager.unasked import asked_by, require_free, start

SOON_SECONDS: Final = 60.0


def is_due(row: BackupSchedule, more: int = 0) -> bool:
    """Whether one is due, or will be after so many more backups."""
    return row.verify_every is not None and row.unverified + more >= row.verify_every


class Begun(NamedTuple):
    """When to look again for a trial, infinite if none is due, and why it waits."""

    again: float
    reason: str | None = None


def begin(row: BackupSchedule, instance: Instance, made: Sequence[Backup]) -> Begun:
    """Begin the trial that is due. `made` are the backups of the instance, newest first."""
    if not is_due(row):
        return Begun(math.inf)
    own = [each for each in made if each.schedule_id == row.id]
    if own and own[0].status in UNFINISHED:
        return Begun(_later(row))
    newest = next((each for each in own if each.status == BackupStatus.COMPLETED), None)
    if newest is None or newest.verified_at is not None:
        return Begun(math.inf)  # until another one is made
    try:
        operation = _accepted(row, instance, newest)
    except CofferError as refusal:
        return Begun(_later(row), f"{TRIAL} {newest.id} waits: {refusal.message}")
    if operation is not None:
        start(operation)
    return Begun(math.inf if operation is not None else _later(row))


def _accepted(row: BackupSchedule, instance: Instance, newest: Backup) -> Operation | None:
    """The operation; None when another was faster."""
    require_free(instance, VERIFY_BACKUP)
    rules.require_readable(newest, instance.manager, instance.datastore_version_number)
    arguments = {"backup": newest.id}
    operation = operation_of(instance, VERIFY_BACKUP, arguments=arguments, asked=asked_by(row))
    begun = store.verifying(row)
    done = accepting.accept(instance, operation, decided_by=("generation",), beside=begun)
    return operation if done else None


def _later(row: BackupSchedule) -> float:
    """As long again as it has been waited for since the backup was asked for."""
    now = aws.clock()
    return now + max(now - float(row.last_at or now), SOON_SECONDS)
