"""After a restore of tables: backups know how they ended, and what builds on them."""

from __future__ import annotations

from typing import Any

import pytest

from chalicelib import aws
from chalicelib.domain.flows import CREATE_BACKUP, DELETE_BACKUP
from chalicelib.domain.operations import OperationStatus
from chalicelib.lifecycle import Status
from chalicelib.status import BackupStatus
from chalicelib.store import accepting, backups, instances, making_backups, quotas
from chalicelib.store.ending import Ending, end_operation
from chalicelib.store.models import Backup, Operation
from chalicelib.store.operations import operation_of
from functions import handler
from tests.functions.restored import run
from tests.support.bare import World
from tests.support.rows import TENANT, WHO, new_instance

pytestmark = pytest.mark.usefixtures("world")
JOBS = ("restore_rows", "recount_quotas")
MADE = {"checksum": "ab" * 32, "size": 7, "data_size": 9}
SUCCEEDED = Ending(OperationStatus.SUCCEEDED)
FAILED = Ending(OperationStatus.FAILED, "No.")


@pytest.fixture
def instance_id(world: World) -> str:
    row = new_instance(status=Status.ACTIVE)
    row.save()
    return row.id


def asked_for(instance_id: str, parent: Backup | None = None) -> tuple[Backup, Operation]:
    aws.sleep(1)
    row, backup_id = instances.get_instance(instance_id), aws.new_id()
    backup = Backup(
        id=backup_id,
        tenant_id=TENANT,
        index_tenant=TENANT,
        instance_id=row.id,
        index_source=row.id,
        status=BackupStatus.NEW,
        created=aws.clock(),
        updated=aws.clock(),
        held=dict(making_backups.HELD),
        name="nightly",
        datastore_version_id="v",
        datastore_name="mariadb",
        datastore_version="10.11",
        datastore_version_number="10.11.6",
        manager="mariadb",
        parents=[*parent.parents, parent.id] if parent else [],
        location=f"{TENANT}/{backup_id}/{backup_id}",
        sealed_key="sealed",
    )
    operation = operation_of(row, CREATE_BACKUP, arguments={"backup": backup.id}, asked=WHO)
    assert accepting.accept(row, operation, beside=making_backups.making(backup))
    return backup, operation


def ended(operation: Operation, ending: Ending = SUCCEEDED) -> None:
    if operation.action == CREATE_BACKUP.action:
        operation.update(actions=[Operation.resources["backup"].set(MADE)])
    end_operation(operation, ending)


def made(instance_id: str, parent: Backup | None = None) -> Backup:
    backup, operation = asked_for(instance_id, parent)
    ended(operation)
    return now(backup)


def deleting(backup: Backup) -> Operation:
    aws.sleep(1)
    row = now(backup)
    operation = operation_of(row, DELETE_BACKUP, asked=WHO)
    assert accepting.accept(row, operation)
    return operation


def now(backup: Backup) -> Backup:
    found = backups.find_backup(backup.id)
    assert found is not None
    return found


def put_right() -> list[str]:
    """What the jobs tell; they change nothing before, and have nothing to do afterwards."""
    before = run(*JOBS, check=True)
    assert run(*JOBS, check=True) == before
    told = run(*JOBS)
    assert bool(told) == bool(before)
    assert run(*JOBS) == []
    return told


def held() -> int:
    return quotas.used_of(quotas.get_quota(TENANT))["backups"]


def test_one_whose_key_is_lost_can_never_be_read_and_has_failed(instance_id: str) -> None:
    before, operation = asked_for(instance_id)
    ended(operation)
    before.sealed_key = None
    before.save()
    assert "its key is lost" in put_right()[0]
    assert now(before).status == "FAILED"
    assert "objects of it may be left until it is deleted" in str(now(before).fault_message)


@pytest.mark.parametrize(
    ("ending", "status", "checksum"),
    [(SUCCEEDED, "COMPLETED", MADE["checksum"]), (FAILED, "FAILED", None)],
)
def test_one_that_was_being_made_has_ended_since(
    instance_id: str, ending: Ending, status: str, checksum: Any
) -> None:
    before, operation = asked_for(instance_id)
    ended(operation, ending)
    after = now(before).attribute_values
    before.save()
    put_right()
    found = now(before)
    assert (found.status, found.checksum) == (status, checksum)
    assert set(found.attribute_values) == set(after)
    ended(deleting(found))
    assert held() == 0


def test_one_of_which_nobody_knows_what_made_it_has_failed(instance_id: str) -> None:
    before, operation = asked_for(instance_id)
    ended(operation)
    before.save()
    operation.delete()
    put_right()
    assert now(before).status == BackupStatus.FAILED


def test_one_that_is_being_made_is_left_alone(instance_id: str) -> None:
    backup, operation = asked_for(instance_id)
    assert put_right() == []
    ended(operation)
    assert now(backup).status == BackupStatus.COMPLETED


def test_one_that_was_deleted_since_is_so_and_holds_nothing(instance_id: str) -> None:
    full = made(instance_id)
    child = made(instance_id, full)
    full = now(full)
    ended(deleting(child))
    child.save()
    full.save()
    put_right()
    found = now(child)
    assert (found.status, found.sealed_key, held()) == (BackupStatus.DELETED, None, 1)
    assert now(full).children == 0


def test_a_deletion_that_is_under_way_goes_on(instance_id: str) -> None:
    before = made(instance_id)
    operation = deleting(before)
    before.save()
    put_right()
    assert (now(before).status, now(before).operation_id) == ("DELETING", operation.id)
    ended(operation)
    assert (now(before).status, held()) == (BackupStatus.DELETED, 0)


def test_one_of_which_some_was_removed_since_is_no_longer_complete(instance_id: str) -> None:
    before = made(instance_id)
    ended(deleting(before), FAILED)
    before.save()
    put_right()
    assert now(before).status == BackupStatus.DELETE_FAILED


def test_one_that_is_lost_is_told_and_counts_no_more(instance_id: str) -> None:
    """Its key was in its row alone. What was deleted since, or failed, is nobody's loss."""
    full = made(instance_id)
    lost, deleted, going = made(instance_id, full), made(instance_id, full), made(instance_id)
    failed, operation = asked_for(instance_id)
    ended(operation, FAILED)
    ended(deleting(deleted))
    deleting(going)
    for each in (lost, deleted, going, failed):
        each.delete()
    told = "is lost with its row, which held its key"
    words = f"backup {lost.id} of instance {instance_id} of {TENANT}: {told}"
    answer = handler.cloud({"step": "tell_lost"}, None)
    assert answer == {"told": [words], "next": None}
    put_right()
    assert (now(full).children, held()) == (0, 1)


def test_one_of_an_instance_that_was_adopted_a_moment_ago_is_told_too(
    world: World, instance_id: str
) -> None:
    """A read that lags would not know of that instance."""
    world.read_late(30.0)
    lost, row = made(instance_id), instances.get_instance(instance_id)
    for each in (lost, row):
        each.delete()
    aws.sleep(60.0)
    row.save()
    (told,) = handler.cloud({"step": "tell_lost"}, None)["told"]
    assert told.startswith(f"backup {lost.id} of instance {instance_id} ")


@pytest.mark.parametrize("lost", [False, True])
def test_one_that_was_being_deleted_can_be_deleted_again(instance_id: str, *, lost: bool) -> None:
    backup = made(instance_id)
    operation = deleting(backup)
    before = now(backup)
    ended(operation, FAILED)
    before.save()
    if lost:
        operation.delete()
    put_right()
    assert now(backup).status == BackupStatus.DELETE_FAILED
    ended(deleting(backup))
    assert held() == 0


def test_a_row_that_nobody_can_judge_is_told_and_keeps_no_other_from_being_put_right(
    instance_id: str,
) -> None:
    """What another release has written, or nobody."""
    good = made(instance_id)
    strange, operation = asked_for(instance_id)
    good.update(actions=[Backup.children.set(3)])
    operation.update(actions=[Operation.arguments.set({})])
    told = run(*JOBS)
    assert f"backup {strange.id}: cannot be put right (KeyError); the log says more" in told
    assert now(good).children == 0


def test_what_builds_on_it_is_counted_again(instance_id: str) -> None:
    """One that failed builds on nothing, and one whose row is lost neither."""
    full = made(instance_id)
    before = now(full)
    child = made(instance_id, full)
    _, failing = asked_for(instance_id, full)
    ended(failing, FAILED)
    before.save()
    put_right()
    assert now(full).children == 1
    child.delete()
    put_right()
    assert now(full).children == 0
