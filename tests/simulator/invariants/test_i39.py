"""I39, broken on purpose, is told."""

from __future__ import annotations

from typing import Any

from chalicelib import aws
from chalicelib.domain.flows import DELETE_BACKUP
from chalicelib.status import BackupStatus
from chalicelib.store import making_backups, schedules
from chalicelib.store.events import Asked
from chalicelib.store.models import Backup, BackupSchedule
from chalicelib.store.operations import operation_of
from chalicelib.taskmanager.unasked import asked_by
from tests.simulator.deployment import Deployment
from tests.simulator.invariants.breaking import instance, told_by

WHO = Asked("somebody", "req-1", "tenant-1")


def schedule(deployment: Deployment, **values: Any) -> BackupSchedule:
    """One that keeps its newest backup."""
    given = {"name": "s", "time_zone": "UTC", "interval_hours": 1, "keep_count": 1}
    source = instance(deployment)
    row = schedules.new_schedule(source, given | values)
    assert schedules.create(row, WHO)
    return row


def backup(deployment: Deployment, row: BackupSchedule | None, **values: Any) -> Backup:
    """A complete one of a schedule, which knows of it."""
    of = row.id if row is not None else None
    parent = values.pop("parent", None)
    made = making_backups.new_backup(instance(deployment), "b", schedule_id=of, parent=parent)
    made.status, made.checksum = BackupStatus.COMPLETED, "ab" * 32
    for name, value in values.items():
        setattr(made, name, value)
    if row is not None:
        row.update(actions=[BackupSchedule.last_backup_id.set(made.id)])
    made.save()
    deployment.run(1)
    return made


def given_up(deployment: Deployment, row: BackupSchedule, going: Backup) -> None:
    operation_of(going, DELETE_BACKUP, asked=asked_by(row)).save()
    deployment.run(0)


def a_slot_twice(deployment: Deployment) -> None:
    row = schedule(deployment)
    backup(deployment, row)
    backup(deployment, row)


def a_run_of_which_its_schedule_knows_nothing(deployment: Deployment) -> None:
    row = schedule(deployment)
    made = backup(deployment, row)
    row.update(actions=[BackupSchedule.last_backup_id.remove()])
    again = making_backups.new_backup(instance(deployment), "c", schedule_id=row.id)
    again.save()
    assert made.id != again.id


def a_slot_that_passes_in_silence(deployment: Deployment) -> None:
    row = schedule(deployment)
    following = float(row.next_at or 0) + 1.0
    deployment.run(2 * 3600.0)
    row.update(actions=[BackupSchedule.next_at.set(following)])


def a_slot_that_is_left_out(deployment: Deployment) -> None:
    row = schedule(deployment)
    row.update(
        actions=[
            BackupSchedule.next_at.set(float(row.next_at or 0) + 3 * 3600.0),
            BackupSchedule.last_backup_id.set("b"),
        ]
    )


def one_that_is_kept(deployment: Deployment) -> None:
    row = schedule(deployment)
    given_up(deployment, row, backup(deployment, row))


def one_of_somebody_else(deployment: Deployment) -> None:
    row = schedule(deployment)
    given_up(deployment, row, backup(deployment, None))


def one_whose_chain_is_kept(deployment: Deployment) -> None:
    row = schedule(deployment)
    first = backup(deployment, row, name="1")
    backup(deployment, row, name="2", parent=first)
    given_up(deployment, row, first)


def the_newest_that_failed(deployment: Deployment) -> None:
    row = schedule(deployment)
    given_up(deployment, row, backup(deployment, row, status=BackupStatus.FAILED, checksum=None))


def one_that_nobody_looks_at(deployment: Deployment) -> None:
    for each in deployment.region.schedules.values():
        each.disable()
    row = schedule(deployment)
    deployment.invariants.hub.fair_since = aws.clock()
    deployment.run(3 * 3600.0)
    assert row.due_at < aws.clock()


test_a_broken_promise_is_told = told_by(
    "I39",
    a_slot_twice,
    a_run_of_which_its_schedule_knows_nothing,
    a_slot_that_passes_in_silence,
    a_slot_that_is_left_out,
    one_that_is_kept,
    one_of_somebody_else,
    one_whose_chain_is_kept,
    the_newest_that_failed,
    one_that_nobody_looks_at,
)
