"""Each so-many-th backup of a schedule is tried out, once it is complete."""

from __future__ import annotations

import pytest

from chalicelib import errors
from chalicelib.domain import backups as rules
from chalicelib.domain.operations import OperationStatus
from chalicelib.lifecycle import Status
from chalicelib.store import backups, instances, schedules
from chalicelib.store.base import transacted
from chalicelib.store.ending import Ending, end_operation
from chalicelib.store.models import Backup, BackupSchedule, Instance, Operation, ServiceStatusRow
from chalicelib.store.subjects import cancel
from tests.support.bare import World
from tests.support.rows import WHO
from tests.taskmanager.test_schedules import Fleet, become, kinds, live, made, stored

PASSED = {"verdict": "passed"}


class Trials(Fleet):
    """Backups that are complete at once, and trials that a test ends."""

    def begun(self, instance: Instance) -> list[str]:
        """The backups that are being tried out."""
        found = [each for each in live(instance) if each.action == "verify_backup"]
        return [str((each.arguments or {})["backup"]) for each in found]

    def look(self, seconds: float = 120.0) -> None:
        """Let so much time pass, with a sweep at its end."""
        self.world.run_until(self.world.now + seconds)
        for row in ServiceStatusRow.scan():
            row.update(actions=[ServiceStatusRow.updated.set(self.world.now)])
        self.minute()

    def back_up(self, row: BackupSchedule) -> None:
        """Let the next one be made."""
        self.come(row)
        self.end()

    def judge(self, instance: Instance, **ending: str) -> None:
        (operation,) = live(instance)
        if not ending:
            operation.update(actions=[Operation.resources["verdict"].set(PASSED)])
        status = OperationStatus(ending.get("status", "SUCCEEDED"))
        end_operation(operation, Ending(status, ending.get("reason", "")))


@pytest.fixture
def trials(plain_world: World) -> Trials:
    return Trials(plain_world)


def test_each_second_one_is_tried_out(trials: Trials) -> None:
    instance = trials.instance()
    row = trials.schedule(instance, verify_every=2)
    tried = []
    for number in range(1, 7):
        trials.back_up(row)
        trials.look()
        if number % 2:
            assert trials.begun(instance) == []
        else:
            tried += trials.begun(instance)
            (operation,) = live(instance)
            assert operation.user_id == f"backup-schedule:{row.id}"
            trials.judge(instance)
        trials.look()
        assert live(instance) == []
    assert tried == [each.id for each in made(instance)][1::2]
    assert [each.verdict for each in made(instance)] == [None, "passed"] * 3


def test_none_is_where_nobody_asked_for_it(trials: Trials) -> None:
    instance = trials.instance()
    row = trials.schedule(instance)
    for _ in range(3):
        trials.back_up(row)
        trials.look()
        assert live(instance) == []


def test_an_instance_that_is_busy_is_waited_for(trials: Trials) -> None:
    instance = trials.instance()
    row = trials.schedule(instance, verify_every=1)
    trials.back_up(row)
    become(instance, Status.STOPPED)
    trials.look()
    assert stored(row).unverified == 1
    (backup,) = made(instance)
    assert str(stored(row).reason).startswith(f"The trial of backup {backup.id} waits: ")
    assert "instance status was STOPPED" in str(stored(row).reason)
    become(instance, Status.ACTIVE)
    for _ in range(6):
        trials.look(600.0)
    assert trials.begun(instance) == [each.id for each in made(instance)]
    assert (stored(row).unverified, stored(row).reason) == (0, None)


def test_a_trial_that_is_refused_until_the_next_backup_is_an_event(
    trials: Trials, monkeypatch: pytest.MonkeyPatch
) -> None:
    instance = trials.instance()
    row = trials.schedule(instance, verify_every=1)

    def refuse(*_: object) -> None:
        raise errors.NotSupported("No room for that.")

    monkeypatch.setattr(rules, "require_readable", refuse)
    for _ in range(2):
        trials.back_up(row)
        trials.look()
        assert "waits: No room for that." in str(stored(row).reason)
    assert kinds(instance).count("backup_schedule.untried") == 1
    monkeypatch.undo()
    trials.look(3600.0)
    assert trials.begun(instance) == [made(instance)[-1].id]


def test_one_that_fails_is_not_tried_out_and_the_next_is(trials: Trials) -> None:
    instance = trials.instance()
    row = trials.schedule(instance, verify_every=1)
    trials.come(row)
    trials.end(OperationStatus.FAILED)
    trials.look()
    assert live(instance) == []
    trials.back_up(row)
    trials.look()
    assert trials.begun(instance) == [made(instance)[-1].id]


def test_a_trial_without_a_verdict_is_told_and_the_next_backup_is_tried_out(
    trials: Trials,
) -> None:
    instance = trials.instance()
    row = trials.schedule(instance, verify_every=3)
    for _ in range(3):
        trials.back_up(row)
        trials.look()
    (tried,) = trials.begun(instance)
    trials.judge(instance, status="FAILED", reason="No room.")
    trials.look(600.0)
    assert live(instance) == [], "it is not repeated at once"
    assert stored(row).reason == f"The trial of backup {tried} has come to no verdict: No room."
    trials.back_up(row)
    trials.look()
    assert trials.begun(instance) == [made(instance)[-1].id]
    trials.judge(instance)
    trials.back_up(row)
    trials.look()
    assert live(instance) == [], "the count begins anew with a verdict"
    assert "backup_schedule.untried" not in kinds(instance)


def test_a_trial_that_somebody_cancels_is_no_failure(trials: Trials) -> None:
    instance = trials.instance()
    row = trials.schedule(instance, verify_every=1)
    trials.back_up(row)
    trials.look()
    (operation,) = live(instance)
    assert cancel(instances.get_instance(instance.id), operation, "Not now.", WHO)
    trials.judge(instance, status="CANCELLED", reason="Not now.")
    assert stored(row).reason is None


def test_a_trial_ends_whose_schedule_is_gone(trials: Trials) -> None:
    instance = trials.instance()
    row = trials.schedule(instance, verify_every=1)
    trials.back_up(row)
    trials.look()
    assert schedules.delete(stored(row), WHO)
    trials.judge(instance, status="FAILED", reason="No room.")
    assert (live(instance), schedules.find_schedule(row.id)) == ([], None)


def test_two_looks_begin_one_trial(trials: Trials) -> None:
    instance = trials.instance()
    row = trials.schedule(instance, verify_every=1)
    trials.back_up(row)
    now = stored(row)
    trials.look()
    assert len(trials.begun(instance)) == 1
    trials.judge(instance)
    backup = backups.find_backup(made(instance)[0].id)
    assert backup is not None
    assert now.unverified == 1
    claim = schedules.verifying(now)
    with pytest.raises(AssertionError):
        _transact(claim)
    assert Backup.get(backup.id).verdict == "passed"


def _transact(claim: backups.Items) -> None:
    assert transacted(claim), "it was counted before"
