"""What of a log is removed with a backup, and with the last one: nothing that any other needs."""

from __future__ import annotations

from typing import Any

import pytest
from botocore.exceptions import EndpointConnectionError

from chalicelib import objects
from chalicelib.domain.archives import State
from chalicelib.domain.flows import DELETE_BACKUP
from chalicelib.settings import settings
from chalicelib.status import BackupStatus
from chalicelib.store import archives, backups, making_backups
from chalicelib.store.models import Archive, Backup, Instance
from chalicelib.store.operations import operation_of
from functions import delete_backup, handler, step, stray_logs
from functions.outcomes import Done
from simulator.template import BACKUPS_BUCKET
from tests.support.bare import World
from tests.support.rows import WHO, new_instance

DAY = 86400.0


class Log:
    """An archive of five pieces, and the backups that it goes on from."""

    def __init__(self, world: World) -> None:
        self.world, self.instance = world, new_instance()
        self.instance.save()
        self.row = archives.new_archive(self.instance, "schedule-1")
        self.row.save()
        for number in range(1, 6):
            name = f"{number:012}.1-2.{'0' * 16}.{'1' * 64}"
            key = f"{self.row.location}/{name}"
            world.s3.put_object(Bucket=BACKUPS_BUCKET, Key=key, Body=b"x")

    def base(self, number: int, **changes: Any) -> Backup:
        """A complete one with the pieces up to a number before it."""
        self.world.run(1.0)
        made = making_backups.new_backup(self.instance, f"at {number}")
        known: dict[str, Any] = {"status": BackupStatus.COMPLETED, "archive_id": self.row.id}
        known["archive_number"] = number
        for name, value in (known | changes).items():
            setattr(made, name, value)
        made.save()
        return made

    def delete(self, base: Backup) -> list[int]:
        """The numbers of the pieces that are there behind it."""
        outcome = delete_backup.trim(operation_of(base, DELETE_BACKUP, asked=WHO), None)
        assert isinstance(outcome, Done)
        listed = self.world.s3.list_objects_v2(Bucket=BACKUPS_BUCKET, Prefix=self.row.location)
        return [int(each["Key"].rpartition("/")[2][:12]) for each in listed.get("Contents", ())]

    def end(self) -> Archive:
        """Have it end, a day ago."""
        self.row.update(actions=[Archive.state.set(State.ENDED), Archive.ended.set(self.world.now)])
        self.world.run(DAY)
        return self.row


@pytest.fixture
def log(plain_world: World) -> Log:
    return Log(plain_world)


def test_pieces_go_up_to_the_oldest_backup_that_is_left(log: Log) -> None:
    first, second, _ = log.base(1), log.base(3), log.base(4)
    assert log.delete(second) == [2, 3, 4, 5]
    first.update(actions=[Backup.status.set(BackupStatus.DELETED)])
    second.update(actions=[Backup.status.set(BackupStatus.DELETED)])
    assert log.delete(first) == [5]


def test_a_deletion_whose_backup_is_gone_does_not_fail_for_the_log(
    log: Log, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody would find it again, to delete it once more: nothing of it lies in the store."""
    first, second, _ = log.base(1), log.base(3), log.base(4)
    operation = operation_of(first, DELETE_BACKUP, asked=WHO)
    operation.save()
    event = {"step": "delete_backup.trim", "operation_id": operation.id}

    def away(_: str) -> Any:
        raise EndpointConnectionError(endpoint_url="https://s3")

    with monkeypatch.context() as patch:
        patch.setattr(objects, "page", away)
        assert step.run(handler.LOCAL_STEPS, event)["outcome"] == "wait"
        log.world.run(settings().removal_timeout_seconds + 60)
        assert step.run(handler.LOCAL_STEPS, event)["outcome"] == "done"
    first.update(actions=[Backup.status.set(BackupStatus.DELETED)])
    assert log.delete(second) == [5], "the next one removes the rest"


def test_no_piece_goes_with_the_last_one(log: Log) -> None:
    assert log.delete(log.base(3)) == [1, 2, 3, 4, 5]


def test_no_piece_goes_where_older_backups_were_not_looked_at(
    log: Log, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(backups, "MOST_LOOKED_AT", 3)
    for _ in range(3):
        log.base(0, archive_id="another")
    bases = [log.base(number) for number in (2, 3, 4)]
    assert log.delete(bases[0]) == [1, 2, 3, 4, 5]


def test_the_oldest_one_is_found_whatever_is_newer_and_whatever_is_no_base(
    log: Log, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(backups, "MOST_LOOKED_AT", 8)
    monkeypatch.setattr(backups, "AT_ONCE", 2)
    oldest = log.base(0)
    for _ in range(3):
        log.base(0, archive_id="another")
    log.base(1, status=BackupStatus.DELETING), log.base(1, status=BackupStatus.DELETE_FAILED)
    second, *_ = [log.base(number) for number in (2, 3, 3, 3, 3)]
    assert log.delete(second) == [1, 2, 3, 4, 5]
    assert log.delete(oldest) == [3, 4, 5]


def test_an_archive_is_over_when_it_has_ended_a_day_ago_and_no_backup_needs_it(log: Log) -> None:
    base = log.base(0)
    assert not stray_logs.is_over(log.end())
    base.update(actions=[Backup.status.set(BackupStatus.DELETED)])
    assert stray_logs.is_over(log.row)
    log.instance.update(actions=[Instance.archive_id.set(log.row.id)])
    assert not stray_logs.is_over(log.row), "it is wanted"
    log.instance.update(actions=[Instance.archive_id.remove()])
    log.row.update(actions=[Archive.ended.set(log.world.now - DAY + 1)])
    assert not stray_logs.is_over(log.row), "somebody may still write to it"


def test_none_is_over_where_older_backups_were_not_looked_at(
    log: Log, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(backups, "MOST_LOOKED_AT", 3)
    for number in range(3):
        log.base(number, archive_id="another")
    log.base(0)
    assert not stray_logs.is_over(log.end())


def test_pieces_of_one_that_is_over_are_removed_within_a_bound(
    log: Log, monkeypatch: pytest.MonkeyPatch
) -> None:
    row = log.end()
    assert stray_logs.remove(row, log.world.now) == 0, "its time is over"
    with monkeypatch.context() as patch:
        patch.setattr(objects, "PAGE_KEYS", 2)
        patch.setattr(stray_logs, "MOST_REMOVED", 3)
        assert stray_logs.remove(row, log.world.now + 60.0) == 4, "give or take a page"
    assert archives.find_archives([row.id])[row.id].expires is None
    assert stray_logs.remove(row, log.world.now + 60.0) == 1
    assert archives.find_archives([row.id])[row.id].expires
