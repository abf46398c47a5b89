"""Rows of backups: whose they are, what they count, how they end."""

from __future__ import annotations

from typing import Any

import pytest

from chalicelib import aws, errors
from chalicelib.domain import attempts
from chalicelib.domain.containers import Container
from chalicelib.domain.flows import CREATE_BACKUP, DELETE_BACKUP, What
from chalicelib.domain.imports import Imported
from chalicelib.domain.operations import OperationStatus
from chalicelib.lifecycle import Status
from chalicelib.status import BackupStatus
from chalicelib.store import (
    accepting,
    backups,
    ending_backups,
    instances,
    listing_backups,
    making_backups,
    quotas,
    restoring_backups,
)
from chalicelib.store.base import transacted
from chalicelib.store.ending import Ending, end_operation
from chalicelib.store.models import Backup, DatastoreVersion, Instance, Operation
from chalicelib.store.operations import operation_of
from tests.support.rows import TENANT, WHO, new_instance

pytestmark = pytest.mark.usefixtures("plain_world")
MADE = {"checksum": "ab" * 32, "size": 7, "data_size": 9}


@pytest.fixture
def source(plain_world: Any) -> Instance:
    row = new_instance(status=Status.ACTIVE)
    row.save()
    return row


def begun(source: Instance, parent: Backup | None = None) -> tuple[Backup, Operation]:
    aws.sleep(1)
    row = instances.get_instance(source.id)
    backup = making_backups.new_backup(row, "nightly", parent=parent)
    arguments = {"backup": backup.id}
    operation = operation_of(row, CREATE_BACKUP, arguments=arguments, asked=WHO)
    assert accepting.accept(row, operation, beside=making_backups.making(backup))
    return backup, operation


def made(source: Instance, parent: Backup | None = None, status: str = "SUCCEEDED") -> Backup:
    backup, operation = begun(source, parent)
    operation.update(actions=[Operation.resources["backup"].set(MADE)])
    end_operation(operation, Ending(OperationStatus(status), "" if status == "SUCCEEDED" else "No"))
    return now(backup)


def now(row: Backup) -> Backup:
    found = backups.find_backup(row.id)
    assert found is not None
    return found


def test_a_backup_is_its_tenants_and_an_administrators_alone(source: Instance) -> None:
    row = made(source)
    assert backups.get_backup(row.id, TENANT).id == backups.get_backup(row.id).id == row.id
    with pytest.raises(errors.NotFound):
        backups.get_backup(row.id, "tenant-2")
    row.update(actions=[Backup.status.set(BackupStatus.DELETED), *ending_backups.buried()])
    for tenant_id in (TENANT, None):
        with pytest.raises(errors.NotFound):
            backups.get_backup(row.id, tenant_id)
    assert listing_backups.of_tenant(TENANT, 10, None).rows == []


def test_a_parent_counts_who_builds_on_it_until_that_has_failed(source: Instance) -> None:
    full = made(source)
    child, operation = begun(source, full)
    assert (now(full).children, child.parents) == (1, [full.id])
    assert backups.newest_complete(source.id) is not None
    end_operation(operation, Ending(OperationStatus.FAILED, "No."))
    assert (now(full).children, now(child).status) == (0, BackupStatus.FAILED)
    kept = made(source, full)
    assert now(full).children == 1
    assert [row.id for row in backups.building_on(full)] == [child.id, kept.id]
    assert [row.id for row in backups.chain_of(kept)] == [full.id, kept.id]


@pytest.mark.parametrize("counted", [0, 2])
def test_a_parent_that_a_restored_table_miscounts_is_not_counted_below_nothing(
    source: Instance, counted: int
) -> None:
    full = made(source)
    child, operation = begun(source, full)
    full.update(actions=[Backup.children.set(counted)])
    end_operation(operation, Ending(OperationStatus.FAILED, "No."))
    assert now(full).children == max(counted - 1, 0)
    assert now(child).status == BackupStatus.FAILED
    made(source)  # its instance is free


def test_the_end_of_an_operation_whose_backup_is_lost_or_has_ended_frees_its_instance(
    source: Instance,
) -> None:
    lost, operation = begun(source)
    lost.delete()
    end_operation(operation, Ending(OperationStatus.FAILED, "No."))
    ended, operation = begun(source)
    ended.update(actions=ending_backups.outcome(ended, What.FAILED, reason="Before."))
    end_operation(operation, Ending(OperationStatus.FAILED, "No."))
    assert now(ended).fault_message == "Before."
    assert instances.get_instance(source.id).status == Status.ACTIVE


def test_what_is_read_says_so_as_long_as_the_reader_lives(source: Instance) -> None:
    row = made(source)
    _, reader = begun(source)
    for _ in range(2):
        assert transacted(backups.reading(row.id, reader.id))
    assert backups.read_now([now(row)]) == {row.id}
    end_operation(reader, Ending(OperationStatus.FAILED, "No."))
    assert backups.read_now([now(row)]) == set()
    row.update(actions=[Backup.operation_id.set("deletes-it")])
    with pytest.raises(errors.Conflict):
        backups.reading(row.id, "another")


def test_what_builds_on_one_is_counted_again(source: Instance) -> None:
    full = made(source)
    made(source, full)
    made(source, full, status="FAILED")
    assert restoring_backups.miscounted(now(full)) is None
    full.update(actions=[Backup.children.set(3)])
    told, actions = restoring_backups.miscounted(now(full)) or ("", [])
    assert told == "1 build on it"
    full.update(actions=actions)
    assert now(full).children == 1


def test_a_row_learns_of_its_deletion_once(source: Instance) -> None:
    row = made(source)
    assert restoring_backups.wrong(row) is None
    row.update(actions=[Backup.status.set(BackupStatus.DELETING)])
    told, actions = restoring_backups.wrong(now(row)) or ("", [])
    assert told == "its deletion has failed"
    row.update(actions=actions)
    assert now(row).status == BackupStatus.DELETE_FAILED
    assert restoring_backups.wrong(now(row)) is None


def test_a_deletion_that_has_failed_and_says_so_is_left_as_it_is(source: Instance) -> None:
    row = made(source)
    operation = operation_of(row, DELETE_BACKUP, asked=WHO)
    assert accepting.accept(row, operation)
    end_operation(operation, Ending(OperationStatus.FAILED, "No."))
    assert now(row).status == BackupStatus.DELETE_FAILED
    assert restoring_backups.wrong(now(row)) is None


def test_attempts_are_remembered_one_writer_at_a_time_and_while_it_is_made(
    source: Instance,
) -> None:
    row, operation = begun(source)
    one, other = now(row), now(row)
    first = attempts.Attempt("a", 1.0)
    assert making_backups.lend(one, [first])
    assert not making_backups.lend(other, [attempts.Attempt("b", 1.0)])
    both = [first, attempts.Attempt("b", 2.0)]
    stale = now(row)
    assert making_backups.lend(now(row), both)
    assert not making_backups.lend(stale, [first])
    assert attempts.of(now(row).attempts) == both
    read = now(row)
    end_operation(operation, Ending(OperationStatus.FAILED, "No."))
    assert not making_backups.lend(read, [first])
    assert attempts.of(now(row).attempts) == both


def test_what_is_taken_in_counts_against_its_tenant_and_its_version_once() -> None:
    version = DatastoreVersion(
        "version-1",
        datastore_id="mariadb",
        datastore_name="mariadb",
        name="10.11",
        version="10.11.6",
        manager="mariadb",
    )
    version.save()
    place = Container("https://swift/v1/AUTH_tenant-1/database_backups", 1)
    found = Imported("of-trove.xbstream.gz", 7, "ab" * 16)
    row = making_backups.imported_backup(TENANT, "of-trove", version, place, found, 1.0)
    for stored in (True, False):
        assert making_backups.take_in(row, WHO) == stored
    version.refresh(consistent_read=True)
    assert version.grouped == 1
    assert quotas.used_of(quotas.get_quota(TENANT))["backups"] == 1
    version.delete()
    other = making_backups.imported_backup(TENANT, "of-trove", version, place, found, 1.0)
    assert not making_backups.take_in(other, WHO), "of a version that is gone"
