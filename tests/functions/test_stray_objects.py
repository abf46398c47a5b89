"""What ended backups left in the object store: removed after a day; what has no row is told."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from typing import Any

import pytest
from botocore.exceptions import ClientError
from pynamodb.expressions.update import Action

from chalicelib import objects
from chalicelib.domain.flows import DELETE_BACKUP
from chalicelib.store import events, jobs
from chalicelib.store.models import Backup
from chalicelib.store.operations import operation_of, operations_of
from functions import handler, stray_objects
from simulator.aws.errors import throttled
from simulator.template import BACKUPS_BUCKET
from tests.support.simulated import Stack

DAY = 86400.0


@pytest.fixture(autouse=True)
def told(caplog: pytest.LogCaptureFixture) -> Iterator[pytest.LogCaptureFixture]:
    """The log lines, which Lambda's own handler keeps from pytest."""
    loggers = [logging.getLogger(name) for name in ("chalicelib", "functions")]
    for each in loggers:
        each.addHandler(caplog.handler)
    yield caplog
    for each in loggers:
        each.removeHandler(caplog.handler)


class Store:
    """A bucket with backups, and the job that looks at it."""

    def __init__(self, stack: Stack) -> None:
        self.stack = stack
        self.s3 = stack.region.s3
        stack.stop_schedules()

    def backup(self, number: int, status: str | None, *, objects: int = 2) -> str:
        """One with so many objects, without a row where there is no status; its location."""
        backup_id = f"00000000-0000-4000-8000-{number:012}"
        location = f"tenant/{backup_id}/{backup_id}"
        for part in range(objects):
            key = f"{location}/1/{part:05}"
            self.s3.put_object(Bucket=BACKUPS_BUCKET, Key=key, Body=b"x")
        if status is not None:
            now = self.stack.kernel.now
            Backup(
                id=backup_id,
                tenant_id="tenant",
                status=status,
                created=now,
                updated=now,
                instance_id="instance-1",
                name="b",
                datastore_version_id="v",
                datastore_name="mariadb",
                datastore_version="10.11",
                datastore_version_number="10.11",
                manager="mariadb",
                location=location,
            ).save()
        return location

    def look(self, **more: Any) -> dict[str, Any]:
        answers: list[dict[str, Any]] = []
        event = {"step": "look_for_stray_objects", **more}
        self.stack.do(lambda: answers.append(handler.local(event, None)))
        return answers[0]

    def left(self, location: str = "") -> int:
        listed = self.s3.list_objects_v2(Bucket=BACKUPS_BUCKET, Prefix=location)
        return int(listed["KeyCount"])


@pytest.fixture
def store(stack: Stack, monkeypatch: pytest.MonkeyPatch) -> Store:
    monkeypatch.setattr(stray_objects, "PAUSE_SECONDS", 0)
    return Store(stack)


def alarms(told: pytest.LogCaptureFixture) -> list[str]:
    return [record.alarm for record in told.records if hasattr(record, "alarm")]


def test_what_an_ended_backup_left_goes_after_a_day_and_all_else_stays(store: Store) -> None:
    stay = {store.backup(1, "COMPLETED"), store.backup(2, "BUILDING"), store.backup(3, "DELETING")}
    gone = {store.backup(4, "DELETED"), store.backup(5, "FAILED")}
    store.stack.run(DAY - 60)
    assert store.look() == {"seen": 5, "unknown": 0, "removed": 0}, "its agent may be at work"
    store.stack.run(60)
    assert store.look() == {"seen": 5, "unknown": 0, "removed": 4}
    assert {store.left(each) for each in stay} == {2}
    assert {store.left(each) for each in gone} == {0}
    said = [row.message for row in events.events_of("instance-1") if row.kind == "objects.removed"]
    assert len(said) == 2
    assert said[0].startswith("2 objects of backup 00000000-")


def test_a_deletion_that_has_failed_is_tried_again_until_it_is_gone(store: Store) -> None:
    """An hour later; what builds on it goes first."""
    full, child = store.backup(1, "DELETE_FAILED"), store.backup(2, "DELETE_FAILED")
    rows = [Backup.get(each.rpartition("/")[2]) for each in (full, child)]
    rows[0].update(actions=[Backup.children.set(1)])
    child_of: list[Action] = [Backup.parents.set([rows[0].id]), Backup.checksum.set("ab" * 32)]
    rows[1].update(actions=child_of)
    store.stack.run(3540)
    store.look()
    assert [now(each).status for each in rows] == ["DELETE_FAILED", "DELETE_FAILED"]
    store.stack.run(60)
    store.look()
    store.stack.settle()
    assert [now(each).status for each in rows] == ["DELETE_FAILED", "DELETED"]
    assert (store.left(full), store.left(child)) == (2, 0)
    store.look()
    store.stack.settle()
    assert (now(rows[0]).status, store.left()) == ("DELETED", 0)
    (operation,) = operations_of(rows[0].id)
    assert (operation.user_id, operation.status) == ("maintenance", "SUCCEEDED")


def test_a_deletion_that_fails_on_and_on_is_tried_ever_less_often(store: Store) -> None:
    row = Backup.get(store.backup(1, "DELETE_FAILED").rpartition("/")[2])
    tried = operation_of(row, DELETE_BACKUP)
    tried.created, tried.status = row.updated - 5 * 3600, "FAILED"
    tried.save()
    store.stack.run(4 * 3600)
    store.look()
    assert now(row).status == "DELETE_FAILED"
    store.stack.run(3600)
    store.look()
    store.stack.settle()
    assert now(row).status == "DELETED"


def test_a_run_begins_so_many_deletions_again_within_its_time(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After an outage a page may have hundreds."""
    ids = [store.backup(each, "DELETE_FAILED").rpartition("/")[2] for each in range(6)]
    store.stack.run(3600)

    def left() -> int:
        return [Backup.get(each).status for each in ids].count("DELETE_FAILED")

    monkeypatch.setattr(stray_objects, "MOST_AGAIN", 2)
    store.look()
    assert left() == 4
    has_rested = stray_objects._has_rested

    def slow(row: Backup) -> bool:
        store.stack.kernel.sleep(stray_objects.SLICE_SECONDS)
        return has_rested(row)

    monkeypatch.setattr(stray_objects, "_has_rested", slow)
    store.look()
    assert left() == 3


def now(row: Backup) -> Backup:
    return Backup.get(row.id, consistent_read=True)


def test_what_lies_beside_a_complete_backup_goes_and_all_of_its_own_stays(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An attempt that was still on its way when another one was complete, before or behind it; of
    a backup of a former release nobody knows which is its own."""
    monkeypatch.setattr(objects, "PAGE_KEYS", 2)
    monkeypatch.setattr(stray_objects, "PLAUSIBLE_SHARE", 1.0)
    old = store.backup(1, "COMPLETED", objects=5)
    location = store.backup(2, "COMPLETED", objects=5)
    row = Backup.get(location.rpartition("/")[2])
    row.update(actions=[Backup.attempt.set("1"), Backup.checksum.set("ab" * 32)])
    names = [f"manifest.{'ab' * 32}", f"manifest.{'cd' * 32}", "0/0", *(f"2/{n}" for n in range(5))]
    for name in names:
        store.s3.put_object(Bucket=BACKUPS_BUCKET, Key=f"{location}/{name}", Body=b"x")
    assert store.look()["removed"] == 0, "its guest may be at work"
    store.stack.run(DAY)
    assert store.look() == {"seen": 2, "unknown": 0, "removed": 7}
    assert (store.left(old), store.left(f"{location}/1/"), store.left(location)) == (5, 5, 6)
    assert store.left(f"{location}/{names[0]}") == 1
    assert store.look()["removed"] == 0


def test_what_has_no_row_is_told_and_never_removed(
    store: Store, told: pytest.LogCaptureFixture
) -> None:
    """What a restore of the table to an earlier moment makes of every younger backup."""
    lost = store.backup(1, None)
    store.s3.put_object(Bucket=BACKUPS_BUCKET, Key="somebody's file", Body=b"x")
    moved = store.backup(2, "DELETED")
    elsewhere = moved.replace("tenant/", "another/")
    store.s3.put_object(Bucket=BACKUPS_BUCKET, Key=f"{elsewhere}/1/0", Body=b"x")
    store.stack.run(30 * DAY)
    assert store.look() == {"seen": 4, "unknown": 3, "removed": 2}
    assert (store.left(lost), store.left(), store.left(moved)) == (2, 4, 0)
    assert alarms(told) == ["objects.unknown"]
    (said,) = [row.message for row in events.events_of(events.OPERATORS)]
    assert all(each in said for each in (lost, "somebody's file", elsewhere))


def test_a_run_that_would_remove_an_implausible_share_removes_nothing(
    store: Store, told: pytest.LogCaptureFixture
) -> None:
    for number in range(stray_objects.PLAUSIBLE_REMOVALS + 1):
        store.backup(number, "DELETED")
    store.stack.run(2 * DAY)
    for _ in range(2):
        assert store.look()["removed"] == 0
    assert alarms(told) == ["objects.implausible"] * 2
    assert store.look(sure=True)["removed"] == 22
    assert store.left() == 0


def test_a_look_goes_on_where_the_last_run_stopped_and_lists_no_backup_to_its_end(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(objects, "PAGE_KEYS", 2)
    list_page = objects.page_of_all

    def slow(after: str | None = None) -> objects.Page:
        store.stack.kernel.sleep(stray_objects.SLICE_SECONDS)
        return list_page(after)

    monkeypatch.setattr(objects, "page_of_all", slow)
    for number in range(3):
        store.backup(number, "COMPLETED", objects=7)
    assert [store.look()["seen"] for _ in range(4)] == [1, 2, 3, 3]
    again = jobs.stray_look()
    assert again == jobs.StrayLook(begins=again.begins)
    assert store.look()["seen"] == 1


def test_a_run_removes_so_many_and_the_rest_waits(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(objects, "PAGE_KEYS", 2)
    monkeypatch.setattr(stray_objects, "MOST_REMOVED", 4)
    store.backup(1, "FAILED", objects=5)
    store.stack.run(2 * DAY)
    assert [store.look(sure=True)["removed"] for _ in range(4)] == [4, 0, 1, 0], "the next round"


def test_a_round_waits_for_as_long_as_the_last_one_was_large(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stray_objects, "PAUSE_SECONDS", 100)
    store.backup(1, "COMPLETED")
    assert store.look()["seen"] == 1
    assert store.look()["seen"] == 0
    assert store.look(sure=True)["seen"] == 1
    store.stack.run(101)
    assert store.look()["seen"] == 1


def test_a_store_that_is_away_is_an_alarm_and_one_that_refuses_is_asked_again(
    store: Store, told: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    store.backup(1, "DELETED")
    store.stack.run(2 * DAY)

    def refuse(*_: Any) -> None:
        raise throttled("s3", "DeleteObjects")

    monkeypatch.setattr(objects, "remove", refuse)
    assert store.look() == {"seen": 1, "unknown": 0, "removed": 0}
    monkeypatch.undo()

    def away(*_: Any) -> ClientError:
        raise throttled("s3", "ListObjectsV2")

    monkeypatch.setattr(objects, "page_of_all", away)
    assert "SlowDown" in store.look(sure=True)["failed"]
    assert alarms(told) == ["job.failed"]
    monkeypatch.undo()
    assert store.look(sure=True)["removed"] == 2


def test_what_a_broken_guest_has_called_as_no_list_can_tell_goes_one_by_one(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It writes what it likes below its location; one such key would keep all of them there."""
    monkeypatch.setattr(objects, "MOST_ALONE", 2)
    gone = store.backup(1, "DELETED")
    for name in ("\x01", "\x02", "\x1f", "\uffff", "é", "😀", "\n"):
        store.s3.put_object(Bucket=BACKUPS_BUCKET, Key=f"{gone}/{name}", Body=b"x")
    store.stack.run(2 * DAY)
    assert store.look(sure=True)["removed"] == 9
    assert store.left(gone) == 0


def test_a_guest_that_names_its_objects_behind_all_others_holds_up_no_other_backup(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(objects, "PAGE_KEYS", 2)
    hostile = store.backup(1, "COMPLETED")
    for name in ("~~~", "é", "😀", "\U0010ffff"):
        store.s3.put_object(Bucket=BACKUPS_BUCKET, Key=f"{hostile}/{name}", Body=b"x")
    gone = store.backup(2, "DELETED")
    store.stack.run(2 * DAY)
    assert store.look() == {"seen": 2, "unknown": 0, "removed": 2}
    assert (store.left(hostile), store.left(gone)) == (6, 0)


def test_a_run_ends_in_its_time_however_slowly_the_store_removes(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(objects, "PAGE_KEYS", 2)
    remove, times = objects.remove, list[float]()

    def slow(keys: list[str]) -> int:
        times.append(store.stack.kernel.now)
        store.stack.kernel.sleep(stray_objects.SLICE_SECONDS / 4)
        return remove(keys)

    monkeypatch.setattr(objects, "remove", slow)
    for number in range(2):
        store.backup(number, "DELETED", objects=20)
    store.stack.run(2 * DAY)
    assert store.look()["removed"] == 8
    assert times[-1] - times[0] < stray_objects.SLICE_SECONDS
    while store.left():
        store.look()
