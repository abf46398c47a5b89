"""Bugs of schedules of backups, and of what they do not keep."""

from __future__ import annotations

from collections.abc import Container, Sequence
from typing import Any

from chalicelib.domain import backups as rules
from chalicelib.domain import containers, retention
from chalicelib.domain.retention import Keeping, Made
from chalicelib.status import BackupStatus
from chalicelib.store import backups, ending_backups, strategies
from chalicelib.store import schedules as store
from chalicelib.store.models import Backup, BackupSchedule, Instance
from chalicelib.taskmanager import schedules
from tests.saboteurs.registry import Patch, saboteur

Place = containers.Container


@saboteur("scheduled", "I39")
def a_retention_that_forgets_the_chain(patch: Patch) -> None:
    """Each backup is looked at by itself, whatever builds on it, or it on what."""

    def given_up(
        keeping: Keeping, made: Sequence[Made], now: float, read: Container[str] = ()
    ) -> list[str]:
        own = [each for each in made if each.schedule_id == keeping.id]
        complete = [each for each in own if each.status == BackupStatus.COMPLETED]
        complete.sort(key=lambda each: each.created, reverse=True)
        count = int(keeping.keep_count or len(complete))
        return [each.id for each in complete[count:]]

    patch.setattr(retention, "given_up", given_up)


@saboteur("scheduled", "I39")
def a_retention_that_keeps_no_newest(patch: Patch) -> None:
    """What is older than the schedule keeps goes, and so do those of which there is no newer."""
    patch.setattr(retention, "_kept", lambda keeping, own, now: set())


@saboteur("scheduled", "I39")
def a_retention_that_sees_the_newest_alone(patch: Patch) -> None:
    """What is beyond the newest backups of an instance is not looked at, and stays for ever."""
    original = backups.all_of
    patch.setattr(backups, "all_of", lambda instance_id: original(instance_id)[:2])


@saboteur("scheduled in trouble", "I39", seeds=10)
def a_retention_that_keeps_what_is_damaged(patch: Patch) -> None:
    """What was tried out and is damaged takes the place of one that is sound."""
    patch.setattr(retention, "is_damaged", lambda chain: False)


@saboteur("scheduled in trouble", "I40")
def a_verdict_that_nobody_heeds(patch: Patch) -> None:
    """A backup that was tried out and is damaged is built on."""
    patch.setattr(rules, "FAILED", "no such verdict")


@saboteur("scheduled", "I39")
def a_missed_run_forgotten(patch: Patch) -> None:
    """A slot that has passed is left out, and nobody is told."""

    def miss(row: BackupSchedule, following: float, at: float, reason: str) -> None:
        store._write(row, {"next_at": following, "due_at": at})

    patch.setattr(store, "miss", miss)


@saboteur("scheduled", "I39")
def a_slot_that_is_run_twice(patch: Patch) -> None:
    """A run leaves its slot as the next one."""
    original = store.running

    def running(row: BackupSchedule, following: float, at: float, backup: Any) -> Any:
        assert row.next_at is not None
        return original(row, row.next_at, at, backup)

    patch.setattr(store, "running", running)


@saboteur("scheduled", "I39")
def a_look_that_comes_too_late(patch: Patch) -> None:
    """Nobody finds what is due."""
    patch.setattr(schedules, "tell_due", lambda until: 0)


@saboteur("by strategy", "I43")
def a_base_that_lies_apart_from_its_log(patch: Patch) -> None:
    """A backup that the log is to go on from goes where a strategy says, and is no base there."""

    def place(row: BackupSchedule, instance: Instance, parent: Backup | None) -> Place | None:
        found = backups.container_of(parent) if parent is not None else None
        return found or strategies.container_for(instance)

    patch.setattr(schedules, "_place", place)


@saboteur("scheduled in trouble", "I39", seeds=10)
def a_trial_without_a_verdict_that_nobody_tells(patch: Patch) -> None:
    """What keeps a backup from being tried out stands in an operation alone."""
    patch.setattr(ending_backups, "_untried", lambda operation, reason: lambda write: None)
