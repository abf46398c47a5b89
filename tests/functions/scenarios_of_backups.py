"""The flows of backups as they are prepared up to the hint; apart, as they need one made before."""

from __future__ import annotations

import json
from collections.abc import Callable

from chalicelib.api import importing
from chalicelib.bus import keys, queues
from chalicelib.domain.backups import CASCADE
from chalicelib.domain.flows import CREATE_BACKUP, DELETE_BACKUP, RESTORE
from chalicelib.domain.quotas import held_by_instance
from chalicelib.lifecycle import Status
from chalicelib.status import BackupStatus
from chalicelib.store import accepting, backups, instances, making_backups
from chalicelib.store.models import Backup, DatastoreVersion, Operation
from chalicelib.store.operations import operation_of
from simulator.fleet.datastore import NOTHING, Database
from simulator.fleet.troves import packed
from tests.support.rows import TENANT, WHO, new_instance
from tests.support.simulated import PASSWORD, Stack

GIVES_UP_AFTER_SECONDS = 3.0


def _running(stack: Stack) -> str:
    instance, _ = stack.create()
    stack.settle()
    return instance.id


def _begin(instance_id: str, parent: Backup | None = None) -> tuple[Backup, Operation]:
    """Accept a backup as the API does, and hint the task manager."""
    row = instances.get_instance(instance_id)
    backup = making_backups.new_backup(row, "b", parent=parent)
    operation = operation_of(row, CREATE_BACKUP, arguments={"backup": backup.id}, asked=WHO)
    assert accepting.accept(row, operation, beside=making_backups.making(backup))
    queues.notify_task_manager(operation.id)
    return backup, operation


def _made(stack: Stack, instance_id: str, parent: Backup | None = None) -> Backup:
    backup, _ = _begin(instance_id, parent)
    stack.settle()
    row = backups.get_backup(backup.id)
    assert row.status == BackupStatus.COMPLETED, row.fault_message
    return row


def create_backup(stack: Stack) -> tuple[str, set[str]]:
    instance_id = _running(stack)
    _begin(instance_id)
    return instance_id, {Status.ACTIVE}


def create_backup_since_another(stack: Stack) -> tuple[str, set[str]]:
    instance_id = _running(stack)
    _begin(instance_id, _made(stack, instance_id))
    return instance_id, {Status.ACTIVE}


def delete_during_a_backup(stack: Stack) -> tuple[str, set[str]]:
    instance_id = _running(stack)
    _begin(instance_id)
    stack.run(GIVES_UP_AFTER_SECONDS)
    stack.delete(instance_id)
    return instance_id, {Status.DELETED}


def restore(stack: Stack) -> tuple[str, set[str]]:
    return _begin_with(_made(stack, _running(stack))), {Status.ACTIVE, Status.ERROR}


def _begin_with(backup: Backup) -> str:
    instance = new_instance()
    asked = {"users": [{"name": "alice", "password": PASSWORD}]}
    operation = operation_of(instance, RESTORE, arguments={"backup": backup.id}, asked=WHO)
    operation.sealed_args = keys.protect("operation", operation.id, json.dumps(asked).encode())
    held = held_by_instance(int(instance.flavor_ram), int(instance.volume_size))
    accepting.accept_create(instance, operation, held)
    queues.notify_task_manager(operation.id)
    return instance.id


TROVES = "AUTH_" + TENANT, "database_backups", "of-trove.xbstream.gz"
HELD = NOTHING.with_database("shop", Database("utf8mb4", "utf8mb4_general_ci")).with_row(
    "shop", "1", "kept"
)
"""What it had beside its accounts."""


def _imported(stack: Stack) -> Backup:
    """A backup that Trove has made, with its accounts, as the API takes it in."""
    account, container, key = TROVES
    swift = stack.region.swift
    place = swift.reach("token", TENANT, container, True)
    assert place is not None
    swift.store.put(account, container, key, packed(HELD), "", "application/gzip")
    found = swift.find("token", TENANT, f"{place.url}/{key}")
    assert found is not None
    row = making_backups.imported_backup(
        TENANT, "of-trove", _version(), place, importing.described(found), 1.0
    )
    assert making_backups.take_in(row, WHO)
    return row


def _version() -> DatastoreVersion:
    made = new_instance()
    version = DatastoreVersion(
        made.datastore_version_id,
        datastore_id="ds",
        datastore_name=made.datastore_name,
        name=made.datastore_version,
        version=made.datastore_version_number,
        manager=made.manager,
    )
    version.save()
    return version


def restore_of_an_import(stack: Stack) -> tuple[str, set[str]]:
    return _begin_with(_imported(stack)), {Status.ACTIVE, Status.ERROR}


def delete_an_import(stack: Stack) -> tuple[str, set[str]]:
    instance_id = _running(stack)
    _delete(_imported(stack), None)
    return instance_id, {Status.ACTIVE}


def _delete(row: Backup, arguments: dict[str, bool] | None) -> None:
    operation = operation_of(row, DELETE_BACKUP, arguments=arguments, asked=WHO)
    assert accepting.accept(row, operation, decided_by=("children", "readers"))
    queues.notify_task_manager(operation.id)


def delete_backup(stack: Stack) -> tuple[str, set[str]]:
    instance_id = _running(stack)
    _delete(_made(stack, instance_id), None)
    return instance_id, {Status.ACTIVE}


def delete_backup_with_what_builds_on_it(stack: Stack) -> tuple[str, set[str]]:
    instance_id = _running(stack)
    full = _made(stack, instance_id)
    _made(stack, instance_id, full)
    _delete(backups.get_backup(full.id), CASCADE)
    return instance_id, {Status.ACTIVE}


BACKUPS: tuple[Callable[[Stack], tuple[str, set[str]]], ...] = (
    create_backup,
    create_backup_since_another,
    delete_during_a_backup,
    restore,
    restore_of_an_import,
    delete_backup,
    delete_an_import,
    delete_backup_with_what_builds_on_it,
)
