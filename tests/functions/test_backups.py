"""Steps of the flows of backups whose rows are not as they were."""

from __future__ import annotations

from typing import Any

import pytest
from botocore.exceptions import EndpointConnectionError

from chalicelib import aws, objects
from chalicelib.bus import commands, queues
from chalicelib.bus.contract.answers import BackedUp, LogPlace
from chalicelib.domain.flows import CREATE_BACKUP
from chalicelib.domain.operations import OperationStatus, command_id
from chalicelib.settings import settings
from chalicelib.status import BackupStatus
from chalicelib.store import archives, instances, making_backups, operations
from chalicelib.store import commands as rows
from chalicelib.store.ending import Ending, end_operation
from chalicelib.store.models import Archive, Backup, Instance, Operation
from chalicelib.store.operations import operation_of
from functions import (
    container_objects,
    create_backup,
    delete_backup,
    handler,
    removing_objects,
    restore_instance,
    restore_snapshot,
    step,
)
from functions.outcomes import Done, Failed, Outcome, Wait, poll_seconds
from tests.functions.test_restoration_of_backups import asked_for, deleting, made, now
from tests.functions.test_restoration_of_backups import instance_id as instance_id  # a fixture
from tests.support.rows import WHO

pytestmark = pytest.mark.usefixtures("world")


def test_an_increment_whose_parent_is_lost_is_not_made_of_everything(instance_id: str) -> None:
    """Nothing could be restored from it: it would still say what it builds on."""
    full = made(instance_id)
    _, operation = asked_for(instance_id, full)
    full.delete()
    outcome = create_backup.copy(operations.take_lease(operation.id, "copy"), "token")
    assert isinstance(outcome, Failed)
    assert f"Backup {full.id}, which it builds on, is not there" in outcome.reason


def test_an_increment_that_was_accepted_behind_a_deletion_of_its_chain_is_not_made(
    instance_id: str,
) -> None:
    """Who accepted it had looked at the chain just before."""
    full = made(instance_id)
    leaf = made(instance_id, made(instance_id, full))
    deleting(full)
    _, operation = asked_for(instance_id, leaf)
    outcome = create_backup.copy(operations.take_lease(operation.id, "copy"), "token")
    assert isinstance(outcome, Failed)
    assert f"Backup {full.id}, which it builds on, is not there" in outcome.reason


def test_what_builds_on_a_backup_is_found_whatever_the_clock_said(
    instance_id: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It was put back between the two."""
    hints: list[str] = []
    monkeypatch.setattr(queues, "notify_task_manager", hints.append)
    full = made(instance_id)
    child = made(instance_id, full)
    child.update(actions=[Backup.created.set(full.created - 60)])
    operation = deleting(full)
    delete_backup.others(operations.take_lease(operation.id, "others"), None)
    assert hints == [now(child).operation_id]


def test_a_delete_waits_for_what_is_going_already_and_tries_it_again(
    instance_id: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    hints: list[str] = []
    monkeypatch.setattr(queues, "notify_task_manager", hints.append)
    full = made(instance_id)
    child = made(instance_id, full)
    first, operation = deleting(child), deleting(full)
    leased = operations.take_lease(operation.id, "others")
    assert isinstance(delete_backup.others(leased, None), Wait)
    assert hints == []
    end_operation(first, Ending(OperationStatus.FAILED, "No."))
    for _ in range(2):
        assert isinstance(delete_backup.others(leased, None), Wait)
    assert hints == [now(child).operation_id]
    again = operations.get_operation(hints[0])
    assert again is not None
    end_operation(again, Ending(OperationStatus.FAILED, "No, again."))
    told = delete_backup.others(leased, None)
    assert isinstance(told, Failed)
    assert told.reason == f"Backup {child.id}, which builds on it, was not deleted: No, again."


def test_a_backup_of_terabytes_is_removed_within_its_time(
    instance_id: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever removes it looks as seldom as who waits: the history of an execution has a bound."""
    monkeypatch.setattr(objects, "page", lambda _: objects.Page({"a": 1}, None, {}))
    leased = operations.take_lease(deleting(made(instance_id)).id, "remove")
    aws.sleep(400)
    for went in (1, 0):  # all, or some of those that go one by one
        monkeypatch.setattr(objects, "remove", lambda _, went=went: went)
        assert isinstance(outcome := delete_backup.remove(leased, None), Wait)
        assert (outcome.seconds, outcome.progress) == (poll_seconds(400), went > 0)
        assert outcome.seconds > 30


def looked(operation: Operation) -> str:
    event = {"step": "delete_backup.remove", "operation_id": operation.id}
    return str(step.run(handler.LOCAL_STEPS, event)["outcome"])


def test_a_removal_has_as_long_as_it_goes_on_and_hours_when_it_does_not(
    instance_id: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A terabyte in Swift is an hour of requests, and an outage may be longer than minutes."""
    operation, most = deleting(made(instance_id)), settings().removal_timeout_seconds
    monkeypatch.setattr(objects, "page", lambda _: objects.Page({"a": 1}, None, {}))
    monkeypatch.setattr(objects, "remove", lambda _: 1)
    for _ in range(5):
        assert looked(operation) == "wait"
        aws.sleep(most - 60)

    def away(_: Any) -> Any:
        raise EndpointConnectionError(endpoint_url="https://s3")

    monkeypatch.setattr(objects, "page", away)
    assert looked(operation) == "wait"
    aws.sleep(120)
    assert looked(operation) == "failed"


def test_an_undoing_that_goes_on_gives_its_instance_back_in_time(
    instance_id: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody can restart or resize one in BACKUP. The maintenance removes the rest."""
    _, operation = asked_for(instance_id)
    operations.begin_compensation(operation, "It was cancelled.")
    monkeypatch.setattr(objects, "page", lambda _: objects.Page({"a": 1}, None, {}))
    monkeypatch.setattr(objects, "remove", lambda _: 1)
    event = {"step": "create_backup.discard", "operation_id": operation.id}
    outcomes = list[str]()
    for _ in range(3):
        outcomes.append(step.run(handler.LOCAL_STEPS, event)["outcome"])
        aws.sleep(settings().delete_timeout_seconds / 2 + 30)
    assert outcomes == ["wait", "wait", "failed"]


def test_a_removal_that_goes_on_for_ever_is_none(
    instance_id: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of a store that says yes, and removes nothing."""
    operation = deleting(made(instance_id))
    monkeypatch.setattr(objects, "page", lambda _: objects.Page({"a": 1}, None, {}))
    monkeypatch.setattr(objects, "remove", lambda _: 1)
    assert looked(operation) == "wait"
    aws.sleep(3600)
    hours = 1
    while looked(operation) == "wait":
        aws.sleep(3600)
        hours += 1
        assert hours < 30
    assert hours * 3600 > operations.MOST_PROGRESS_SECONDS


def test_the_steps_of_a_removal_go_on_for_one_day_together(instance_id: str) -> None:
    """They share the history of an execution. Each has its wait without progress all the same."""
    operation, day = deleting(made(instance_id)), operations.MOST_PROGRESS_SECONDS
    began = aws.clock()
    operations.take_lease(operation.id, "others")
    operations.end_step(operation.id, "others", backwards=True)
    aws.sleep(day - 3600)
    leased = operations.take_lease(operation.id, "remove")
    aws.sleep(10 * 3600)
    leased.resources = {operations.PROGRESS: {"remove": aws.clock()}}
    assert operations.waits_since(leased, "remove") == began + day
    leased.started = {"others": began, "remove": aws.clock()}
    assert operations.waits_since(leased, "remove") == aws.clock()


def test_a_deletion_waits_as_long_for_others_as_they_take(
    instance_id: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(queues, "notify_task_manager", lambda _: None)
    full = made(instance_id)
    made(instance_id, full)
    leased = operations.take_lease(deleting(full).id, "others")
    first, then = (delete_backup.others(leased, None) for _ in range(2))
    assert isinstance(first, Wait)
    assert isinstance(then, Wait)
    assert (first.progress, then.progress) == (False, True)


def test_a_backup_without_its_row_or_its_guests_answer_is_not_complete(instance_id: str) -> None:
    row, operation = asked_for(instance_id)
    leased = operations.take_lease(operation.id, "check")
    assert create_backup.check(leased, None) == Failed(
        "What the guest agent has answered is not known."
    )
    row.delete()
    assert create_backup.check(leased, None) == Failed(create_backup.GONE)


def test_a_guest_has_some_seconds_to_hear_that_its_backup_is_over(
    instance_id: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Then what it has sent is removed, whether it has heard it or not."""
    told: list[str] = []
    monkeypatch.setattr(commands, "send", lambda _, row, *rest: told.append(row.method))
    monkeypatch.setattr(removing_objects, "of", lambda *_: Done())
    _, operation = asked_for(instance_id)
    queues.make_guest_queue(instance_id, 1)
    asked = commands.new_command(
        command_id(operation.id, "copy"),
        instances.get_instance(instance_id),
        "create_backup",
        deadline=aws.clock() + 3600,
        operation_id=operation.id,
    )
    rows.keep(asked)
    leased = operations.take_lease(operation.id, "discard")
    assert isinstance(create_backup.discard(leased, None), Wait)
    aws.sleep(create_backup.HEARS_SECONDS - 1)
    assert isinstance(create_backup.discard(leased, None), Wait)
    aws.sleep(1)
    assert isinstance(create_backup.discard(leased, None), Wait)
    aws.sleep(0.5)
    assert isinstance(create_backup.discard(leased, None), Done)
    assert told == ["cancel_backup"]


@pytest.mark.parametrize("found", [Failed("Its part 3 is another one."), Wait(1, note="looking")])
def test_what_is_found_in_a_container_is_what_the_step_says(
    instance_id: str, monkeypatch: pytest.MonkeyPatch, found: Outcome
) -> None:
    row, operation = asked_for(instance_id)
    row.update(actions=[Backup.container_url.set("https://swift/v1/AUTH_tenant-1/mine")])
    said = BackedUp("ab" * 32, 1, 1, "10.11")
    monkeypatch.setattr(create_backup, "_said", lambda _: said)
    monkeypatch.setattr(container_objects, "whole", lambda *_: found)
    leased = operations.take_lease(operation.id, "check")
    assert create_backup.check(leased, None) == found


@pytest.mark.parametrize("row", ["gone", "deleted"])
def test_a_snapshot_whose_backup_is_gone_is_not_restored(instance_id: str, row: str) -> None:
    full, (_, asked) = made(instance_id), asked_for(instance_id)
    asked.update(actions=[Operation.arguments.set({"backup": full.id})])
    if row == "gone":
        full.delete()
    else:
        full.update(actions=[Backup.status.set(BackupStatus.DELETED)])
    assert restore_snapshot.volume(asked, None) == Failed("The backup is not there any more.")


def test_a_backup_that_went_before_its_restore_fails_it(instance_id: str) -> None:
    """Or a part of its chain: an increment alone is nothing."""
    full = made(instance_id)
    child = made(instance_id, full)
    _, asked = asked_for(instance_id)
    asked.update(actions=[Operation.arguments.set({"backup": child.id})])
    told = Failed(f"Backup {child.id}, or what it builds on, is not there any more.")
    for row in (full, child):
        row.delete()
        assert restore_instance.apply(asked, "token") == told


def test_no_log_goes_on_from_before_its_backup_was_asked_for(instance_id: str) -> None:
    """Who has stolen a guest would have its own data restored for the moments of days before."""
    instance = instances.get_instance(instance_id)
    ended, running = (archives.new_archive(instance, "schedule-1") for _ in range(2))
    ended.ended, running.number, running.until_ms = aws.clock(), 5, aws.clock() * 1000
    ended.save()
    running.save()
    instance.update(actions=[Instance.archive_id.set(running.id)])
    now_ms = int(running.until_ms)

    def taken(row: Backup, archive: Archive, number: int = 5, reached_ms: int = now_ms) -> bool:
        operation = operation_of(instance, CREATE_BACKUP, arguments={"backup": row.id}, asked=WHO)
        said = LogPlace(archive.id, number, "0/1", reached_ms, "a" * 64)
        return bool(create_backup._log_behind(operation, BackedUp("c", 1, 1, "15", "0/1", said)))

    aws.sleep(1)
    asked = making_backups.new_backup(instances.get_instance(instance_id), "b")
    of_before = making_backups.new_backup(
        instances.get_instance(instance_id), "of a release before"
    )
    of_before.log_before = None
    for row in (asked, of_before):
        row.save()
        assert taken(row, running)
        assert not taken(row, ended)
    assert taken(asked, running, 7, now_ms + 5000)
    assert not taken(asked, running, 4)
    assert not taken(asked, running, reached_ms=now_ms - 86_400_000)
    aws.sleep(1)
    following = archives.new_archive(instance, "schedule-1")
    following.save()
    assert taken(asked, following, 0)
    archives.end(running, "it was lost", empty=False)
    assert taken(asked, running), "it has ended since"


@pytest.mark.parametrize(
    ("position", "taken"),
    [("0-1-50", "0-1-50"), ("0-1-51", "0-1-51"), ("0-1-49", None), ("1-1-60", None), ("", None)],
)
def test_no_backup_has_a_position_from_before_it_was_asked_for(
    instance_id: str, position: str, taken: str | None
) -> None:
    """Else who has stolen a guest would have its own data restored for positions of before."""
    instance = instances.get_instance(instance_id)
    running = archives.new_archive(instance, "schedule-1")
    running.number, running.until_ms, running.until_position = 5, aws.clock() * 1000, "0-1-50"
    running.save()
    instance.update(actions=[Instance.archive_id.set(running.id)])
    row = making_backups.new_backup(instances.get_instance(instance_id), "b")
    row.save()
    operation = operation_of(instance, CREATE_BACKUP, arguments={"backup": row.id}, asked=WHO)
    said = LogPlace(running.id, 5, "0/1", int(running.until_ms), "a" * 64, position)
    behind = create_backup._log_behind(operation, BackedUp("c", 1, 1, "15", "0/1", said))
    assert (behind["archive_id"], behind["reached_position"]) == (running.id, taken)
