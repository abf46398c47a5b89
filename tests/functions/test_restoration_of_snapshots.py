"""After a restore of tables: a backup that is a snapshot in the cloud has its row again."""

from __future__ import annotations

from typing import Any

import pytest

from chalicelib.cloud import names
from chalicelib.cloud.errors import Refused
from chalicelib.status import BackupStatus
from chalicelib.store import backups, events, quotas
from chalicelib.store.models import Backup, Operation
from simulator.template import PREFIX
from tests.functions.restored import run
from tests.functions.scenarios_of_snapshots import begin, delete, made, restored, running
from tests.support.rows import TENANT
from tests.support.simulated import Stack

JOBS = ("restore_rows", "adopt", "recount_quotas")


def lost(stack: Stack, backup: Backup) -> dict[str, Any]:
    """Its row is not in the table any more; what was in it."""
    found = backups.get_backup(backup.id)
    stack.invariants.hub.restoring = True
    found.delete()
    return told(found)


def told(row: Backup) -> dict[str, Any]:
    return {name: value for name, value in row.attribute_values.items() if name != "updated"}


def test_a_row_is_made_again_as_it_was(stack: Stack) -> None:
    instance_id = running(stack)
    before = lost(stack, made(stack, instance_id))
    backup_id = before["id"]
    words = f"backup {backup_id}: s of {TENANT}, a snapshot that is available"
    assert words in run("adopt", check=True)
    assert backups.find_backup(backup_id) is None
    assert words in run(*JOBS)
    row = backups.get_backup(backup_id)
    assert told(row) == before
    assert "backup.adopted" in {each.kind for each in events.events_of(instance_id)}
    assert run(*JOBS) == []
    assert quotas.used_of(quotas.get_quota(TENANT))["backups"] == 1
    copy = restored(row)
    stack.settle()
    delete(row)
    stack.settle()
    assert backups.find_backup(backup_id) is not None
    assert not stack.cloud.volume.snapshots.snapshots
    assert [each.name for each in stack.volumes] == [
        f"coffer-{each}" for each in (instance_id, copy)
    ]


def test_one_whose_operation_is_forgotten_is_believed_as_far_as_cinder_has_it(stack: Stack) -> None:
    whole, half = made(stack, running(stack)), made(stack, running(stack))
    for backup in (whole, half):
        lost(stack, backup)
    for operation in Operation.scan():
        operation.delete()
    snapshots = stack.cloud.volume.snapshots.snapshots
    snapshots[str(half.snapshot_id)].status = "error"
    run("adopt")
    assert backups.get_backup(whole.id).status == BackupStatus.COMPLETED
    assert backups.get_backup(half.id).status == BackupStatus.FAILED


def test_one_on_its_way_out_is_no_sound_backup(stack: Stack) -> None:
    """What was to delete it is lost with the operations; what has made it is not."""
    backup = made(stack, running(stack))
    lost(stack, backup)
    stack.cloud.volume.snapshots.snapshots[str(backup.snapshot_id)].status = "deleting"
    run("adopt")
    assert backups.get_backup(backup.id).status == BackupStatus.FAILED


def test_the_functions_own_role_may_make_the_row_again(stack: Stack) -> None:
    backup = made(stack, running(stack))
    lost(stack, backup)
    answers: list[Any] = []
    event = {"step": "adopt", "part": "snapshots"}
    call = stack.region.lambda_.call
    stack.do(lambda: answers.append(call(f"{PREFIX}-taskmanager-cloud", event)))
    assert answers[0].error is None, answers[0]
    assert backups.get_backup(backup.id).status == BackupStatus.COMPLETED


def test_one_that_is_being_made_is_completed_by_its_operation(stack: Stack) -> None:
    backup, _ = begin(running(stack))
    while not stack.cloud.volume.snapshots.snapshots:
        stack.run(0.1)
    lost(stack, backup)
    run("adopt")
    assert backups.get_backup(backup.id).status == BackupStatus.NEW
    stack.settle()
    assert backups.get_backup(backup.id).status == BackupStatus.COMPLETED


def test_one_whose_deletion_has_failed_says_so(stack: Stack) -> None:
    backup = made(stack, running(stack))
    stack.refusals["snapshots.delete"] = Refused("The cloud refused to delete the snapshot: busy")
    delete(backup)
    stack.settle()
    lost(stack, backup)
    run("adopt")
    row = backups.get_backup(backup.id)
    assert (row.status, "busy" in str(row.fault_message)) == (BackupStatus.DELETE_FAILED, True)


@pytest.mark.parametrize("record", [None, {"name": "half of it"}])
def test_one_without_a_record_is_told_and_stays(
    stack: Stack, record: dict[str, str] | None
) -> None:
    backup = made(stack, running(stack))
    lost(stack, backup)
    (found,) = stack.cloud.volume.snapshots.snapshots.values()
    found.metadata = names.snapshot_metadata(backup.id, backup.instance_id, TENANT, record)
    (words,) = (each for each in run("adopt") if backup.id in each)
    assert "cannot be adopted" in words
    assert backups.find_backup(backup.id) is None
    assert found.status == "available"
