"""Backups that are snapshots: what is in the cloud after each, and what a restore has."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from chalicelib import aws
from chalicelib.cloud import servers, volumes
from chalicelib.cloud.errors import Refused
from chalicelib.domain.operations import OperationStatus
from chalicelib.lifecycle import Status
from chalicelib.status import BackupStatus
from chalicelib.store import backups, events, instances
from chalicelib.store.models import Backup, Instance, Operation
from chalicelib.store.operations import operations_of
from functions import kept_volumes, orphans, soft_deleted
from tests.functions.restored import run
from tests.functions.scenarios import ALWAYS
from tests.functions.scenarios_of_snapshots import (
    begin,
    delete,
    made,
    rebuild_on_a_kept_volume,
    restored,
    running,
)
from tests.support.simulated import Stack


@pytest.fixture
def quiet(stack: Stack, monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    """Lets nobody but the test do anything: days are short then."""
    monkeypatch.setattr(orphans, "PAUSE_SECONDS", 0)

    def begin() -> None:
        stack.stop_schedules()
        stack.switch_guests_off()

    return begin


def snapshots_of(stack: Stack) -> list[str]:
    """The statuses of those that the cloud has."""
    return [each.status for each in stack.cloud.volume.snapshots.snapshots.values()]


def now(backup: Backup) -> Backup:
    found = backups.find_backup(backup.id)
    assert found is not None
    return found


def test_a_restore_has_what_the_volume_had_and_a_file_system_of_its_own_size(stack: Stack) -> None:
    instance_id = running(stack)
    source = stack.fleet.volumes[instances.get_instance(instance_id).resources["volume_id"]]
    backup = made(stack, instance_id)
    assert (backup.snapshot_gib, backup.children, backup.sealed_key) == (source.size_gib, 0, None)
    copy = restored(backup, more_gib=1)
    stack.settle()
    row = instances.get_instance(copy)
    assert (row.status, row.fault_message) == (Status.ACTIVE, None)
    found = stack.fleet.volumes[row.resources["volume_id"]]
    assert found.contents.users
    assert found.contents.same_as(source.contents)
    assert found.size_gib == found.file_system_gib == source.size_gib + 1
    stack.check()


def test_a_file_system_that_was_smaller_than_its_volume_is_grown(stack: Stack) -> None:
    """A snapshot between the two halves of a resize, restored to a volume of just its size."""
    backup = made(stack, running(stack))
    (kept,) = stack.fleet.snapshots.values()
    kept.file_system_gib = kept.size_gib - 1
    copy = restored(backup)
    stack.settle()
    row = instances.get_instance(copy)
    assert (row.status, row.fault_message) == (Status.ACTIVE, None)
    found = stack.fleet.volumes[row.resources["volume_id"]]
    assert found.file_system_gib == found.size_gib == kept.size_gib


def test_a_volume_without_data_is_not_made_a_database(stack: Stack) -> None:
    """It would look as if all had been restored."""
    backup = made(stack, running(stack))
    (kept,) = stack.fleet.snapshots.values()
    kept.formatted = False
    copy = restored(backup)
    stack.settle()
    row = instances.get_instance(copy)
    assert row.status == Status.ERROR
    assert "failed to start the database on the snapshot's data" in str(row.fault_message)


def test_a_snapshot_that_fails_leaves_nothing(stack: Stack) -> None:
    instance_id = running(stack)
    stack.spoil("volume", "create_snapshot", "error")
    backup, _ = begin(instance_id)
    stack.settle()
    assert now(backup).status == BackupStatus.FAILED
    assert "The snapshot went to error" in str(now(backup).fault_message)
    assert snapshots_of(stack) == []
    assert instances.get_instance(instance_id).status == Status.ACTIVE
    stack.check()


def test_of_two_that_an_unknown_result_has_left_one_stays_and_both_go(stack: Stack) -> None:
    instance_id = running(stack)
    backup = made(stack, instance_id)
    cinder = stack.cloud.volume
    (first,) = cinder.snapshots.snapshots.values()
    volume = cinder.volumes[first.volume_id]
    cinder.snapshots.create(
        stack.cloud.admin(), volume, name=first.name, metadata=first.metadata, force=True
    )
    stack.run(60)
    delete(backup)
    stack.settle()
    assert now(backup).status == BackupStatus.DELETED
    assert snapshots_of(stack) == []


def test_a_volume_outlives_its_instance_until_its_last_snapshot(stack: Stack) -> None:
    instance_id = running(stack)
    first, second = made(stack, instance_id), made(stack, instance_id)
    stack.delete(instance_id)
    stack.settle()
    assert instances.get_instance(instance_id, gone=True).status == Status.DELETED
    assert [each.name for each in stack.volumes] == [f"coffer-{instance_id}"]
    copy = restored(first)
    stack.settle()
    assert instances.get_instance(copy).status == Status.ACTIVE
    delete(first)
    stack.settle()
    assert len(stack.volumes) == 2
    delete(second)
    stack.settle()
    assert [each.name for each in stack.volumes] == [f"coffer-{copy}"]
    assert snapshots_of(stack) == []
    stack.check_quotas()


def test_a_kept_volume_is_no_leftover_and_no_instance(
    stack: Stack, quiet: Callable[[], None]
) -> None:
    """Neither while the row of its instance says DELETED, nor when that is forgotten."""
    instance_id = running(stack)
    made(stack, instance_id)
    stack.delete(instance_id)
    stack.settle()
    quiet()
    stack.run(orphans.VOLUME_AGE_SECONDS + 60)
    assert stack.job("look_for_orphans", sure=True) == {"seen": 1, "unknown": 0, "removed": 0}
    instances.get_instance(instance_id, gone=True).delete()
    assert stack.job("look_for_orphans", sure=True) == {"seen": 1, "unknown": 0, "removed": 0}
    assert stack.job("adopt", part="volumes")["told"] == []
    assert instances.find_instance(instance_id) is None


def test_a_snapshot_whose_backup_is_gone_is_removed_after_a_while(
    stack: Stack, quiet: Callable[[], None]
) -> None:
    """As one whose answer came after its undoing had looked for the last time."""
    instance_id = running(stack)
    backup = made(stack, instance_id)
    (left,) = stack.cloud.volume.snapshots.snapshots.values()
    again = left.metadata
    delete(backup)
    stack.settle()
    volume = next(iter(stack.cloud.volume.volumes.values()))
    stack.cloud.volume.snapshots.create(
        stack.cloud.admin(), volume, name=left.name, metadata=again, force=True
    )
    quiet()
    stack.run(orphans.VOLUME_AGE_SECONDS - 3600)
    assert stack.job("look_for_orphans", sure=True)["removed"] == 0
    stack.run(2 * 3600)
    stack.job("look_for_orphans", sure=True)
    stack.run(60)
    assert snapshots_of(stack) == []
    told = [row.kind for row in events.events_of(instance_id)]
    assert "orphan.removed" in told


def test_a_snapshot_of_a_row_that_is_missing_stays_and_is_told(
    stack: Stack, quiet: Callable[[], None]
) -> None:
    backup = made(stack, running(stack))
    backup.delete()
    quiet()
    stack.run(orphans.VOLUME_AGE_SECONDS + 60)
    found = stack.job("look_for_orphans", sure=True)
    assert (found["unknown"], found["removed"]) == (1, 0)
    assert snapshots_of(stack) == ["available"]


def test_a_snapshot_that_cinder_does_not_give_up_is_deleted_again(stack: Stack) -> None:
    instance_id = running(stack)
    backup = made(stack, instance_id)
    stack.refusals["snapshots.delete"] = Refused("The cloud refused to delete the snapshot: busy")
    delete(backup)
    stack.settle()
    row = now(backup)
    assert row.status == BackupStatus.DELETE_FAILED
    assert "busy" in str(row.fault_message)
    del stack.refusals["snapshots.delete"]
    delete(backup)
    stack.settle()
    assert now(backup).status == BackupStatus.DELETED
    assert snapshots_of(stack) == []


@pytest.mark.parametrize(
    ("thing", "mode", "words"),
    [
        ("snapshot", "error", "which is error_deleting: somebody who operates the cloud"),
        ("volume", "error", "which is error_deleting: somebody who operates the cloud"),
        (
            "snapshot",
            "left_as_it_was",
            "until the last instance that was restored from it is deleted",
        ),
        (
            "volume",
            "left_as_it_was",
            "until the last instance that was restored from it is deleted",
        ),
    ],
)
def test_what_cinder_cannot_delete_is_told_with_the_reason(
    stack: Stack, thing: str, mode: str, words: str
) -> None:
    """A clone in its storage needs it, or that is broken; behind that it is deleted again."""
    instance_id = running(stack)
    backup = made(stack, instance_id)
    stack.delete(instance_id)
    stack.settle()
    stack.spoil("volume", f"delete_{thing}", mode, times=ALWAYS)
    delete(backup)
    stack.settle()
    row = now(backup)
    assert row.status == BackupStatus.DELETE_FAILED
    assert words in str(row.fault_message)
    stack.cloud.faults.clear()
    for snapshot in stack.cloud.volume.snapshots.snapshots.values():
        snapshot.status = "available"
    for volume in stack.volumes:
        stack.cloud.volume.reset_status(stack.cloud.admin(), volume.id, "error")
    delete(backup)
    stack.settle()
    assert (now(backup).status, stack.volumes) == (BackupStatus.DELETED, [])


def test_a_volume_that_is_another_ones_is_not_copied(stack: Stack) -> None:
    instance_id, another = running(stack), running(stack)
    backup = made(stack, instance_id)
    (theirs,) = volumes.find(another)
    backup.update(actions=[Backup.volume_id.set(theirs.id)])
    failing, _ = begin(instance_id)
    failing.update(actions=[Backup.volume_id.set(theirs.id)])
    stack.settle()
    assert "The volume has vanished" in str(now(failing).fault_message)


def test_a_kept_volume_of_an_instance_that_a_restored_table_has_stays(stack: Stack) -> None:
    """It may be all that is left of its data."""
    instance_id = running(stack)
    backup, before = made(stack, instance_id), instances.get_instance(instance_id)
    stack.delete(instance_id)
    stack.settle()
    before.save()
    stack.job("recount_quotas")
    delete(backup)
    stack.settle()
    assert now(backup).status == BackupStatus.DELETED
    assert [each.name for each in stack.volumes] == [f"coffer-{instance_id}"]
    stack.delete(instance_id)
    stack.settle()
    assert stack.volumes == []


@pytest.mark.parametrize(
    ("ends", "days", "told"),
    [
        (OperationStatus.SUCCEEDED, 0, ""),
        (OperationStatus.FAILED, 0, kept_volumes.TOLD),
        (None, 0, kept_volumes.LONELY),
        (None, 31, ""),
    ],
)
def test_a_kept_volume_whose_instances_row_is_lost_goes_when_its_delete_has_succeeded(
    stack: Stack, ends: OperationStatus | None, days: int, told: str
) -> None:
    """Or is so long ago that nobody knows it; one that failed may have left all of the data, and
    so may one that is lost with the operations. What stays is told."""
    instance_id = running(stack)
    backup = made(stack, instance_id)
    operation = stack.delete(instance_id)
    stack.settle()
    instances.get_instance(instance_id, gone=True).delete()
    for each in operations_of(instance_id):
        if ends is None:
            each.delete()
        elif each.id == operation.id:
            each.update(actions=[Operation.status.set(ends)])
    backup.update(actions=[Backup.created.set(backup.created - days * 86400)])
    delete(backup)
    stack.settle()
    assert now(backup).status == BackupStatus.DELETED
    assert [each.id for each in stack.volumes] == ([backup.volume_id] if told else [])
    lines = [f"{instance_id}: its volume {backup.volume_id} {told}"] if told else []
    assert [each for each in run("adopt", check=True) if "volume" in each] == lines


def test_a_kept_volume_waits_for_a_delete_of_which_no_row_knows(stack: Stack) -> None:
    """It has left the volume already, so that nobody would come for it."""
    instance_id = running(stack)
    backup = made(stack, instance_id)
    operation = stack.delete(instance_id)
    stack.settle()
    instances.get_instance(instance_id, gone=True).delete()
    operation = Operation.get(operation.id)
    ended = operation.status
    live = [Operation.live.set("another day"), Operation.status.set(OperationStatus.RUNNING)]
    operation.update(actions=[*live, Operation.check_at.set(aws.clock() + 86400)])
    delete(backup)
    stack.run(60)
    assert (len(stack.volumes), now(backup).status) == (1, BackupStatus.DELETING)
    operation.update(actions=[Operation.live.remove(), Operation.status.set(ended)])
    stack.settle()
    assert (len(stack.volumes), now(backup).status) == (0, BackupStatus.DELETED)


def test_a_kept_volume_that_is_used_again_is_its_instances_once_more(stack: Stack) -> None:
    """Backups, a resize and the end of the last snapshot are as those of every other volume."""
    instance_id, _ = rebuild_on_a_kept_volume(stack)
    assert volumes.find(instance_id) == []
    stack.settle()
    row = instances.get_instance(instance_id)
    assert (row.status, row.fault_message) == (Status.ACTIVE, None)
    (disk,) = volumes.find(instance_id)
    assert (disk.kept_for, disk.status) == (None, "in-use")
    first, second = backups.all_of(instance_id), made(stack, instance_id)
    for backup in [*first, second]:
        delete(backup)
    stack.settle()
    assert [each.name for each in stack.volumes] == [f"coffer-{instance_id}"]
    assert snapshots_of(stack) == []
    stack.check()


def test_a_kept_volume_waits_for_a_delete_whose_status_was_reset(stack: Stack) -> None:
    """That has left the volume already, so that nobody would come for it."""
    instance_id = running(stack)
    backup = made(stack, instance_id)
    stack.delete(instance_id)
    stack.settle()
    row = instances.get_instance(instance_id, gone=True)
    row.update([Instance.status.set(Status.ERROR), Instance.operation_id.set("a-delete")])
    delete(backup)
    stack.run(60)
    assert (len(stack.volumes), now(backup).status) == (1, BackupStatus.DELETING)
    row.update([Instance.status.set(Status.DELETED), Instance.operation_id.remove()])
    stack.settle()
    assert (len(stack.volumes), now(backup).status) == (0, BackupStatus.DELETED)


def test_one_too_many_that_is_still_being_made_is_waited_for(stack: Stack) -> None:
    backup, _ = begin(running(stack))
    cinder = stack.cloud.volume
    while not (found := list(cinder.snapshots.snapshots.values())):
        stack.run(0.1)
    (first,) = found
    stack.spoil("volume", "create_snapshot", "stuck")
    second = cinder.snapshots.create(
        stack.cloud.admin(),
        cinder.volumes[first.volume_id],
        name=first.name,
        metadata=first.metadata,
        force=True,
    )
    stack.run(60)
    second.status = "available"
    stack.settle()
    assert (now(backup).status, now(backup).snapshot_id) == (BackupStatus.COMPLETED, first.id)
    assert snapshots_of(stack) == ["available"]


def test_a_snapshot_that_an_operator_has_made_keeps_the_volume_and_not_the_backup(
    stack: Stack,
) -> None:
    instance_id = running(stack)
    backup = made(stack, instance_id)
    (volume,) = stack.cloud.volume.volumes.values()
    stack.cloud.volume.snapshots.create(stack.cloud.admin(), volume, name="mine", force=True)
    stack.delete(instance_id)
    delete(backup)
    stack.settle()
    assert now(backup).status == BackupStatus.DELETED
    assert len(stack.volumes) == 1
    assert snapshots_of(stack) == ["available"]


def test_a_server_that_is_nobodys_is_not_ended_for_a_kept_volume(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    theirs = servers.Server(
        id="theirs", name="rescue", status="SOFT_DELETED", deleting=False, fault=None, owner=None
    )
    monkeypatch.setattr(servers, "find_soft_deleted", lambda _: theirs)
    monkeypatch.setattr(servers, "delete", lambda _: pytest.fail("it is somebody else's"))
    disk = volumes.Volume("v", "kept", "in-use", None, 1, server_ids=("theirs",), kept_for="i")
    soft_deleted.free(disk)
