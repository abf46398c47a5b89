"""The flows of backups as they are prepared up to the hint; apart, as they need one made before."""

from __future__ import annotations

import json
from collections.abc import Callable

from chalicelib.bus import keys, queues
from chalicelib.domain.backups import CASCADE
from chalicelib.domain.flows import CREATE_BACKUP, DELETE_BACKUP, RESTORE
from chalicelib.domain.quotas import held_by_instance
from chalicelib.lifecycle import Status
from chalicelib.status import BackupStatus
from chalicelib.store import accepting, backups, instances
from chalicelib.store.models import Backup, Operation
from chalicelib.store.operations import operation_of
from tests.support.rows import WHO, new_instance
from tests.support.simulated import PASSWORD, Stack

GIVES_UP_AFTER_SECONDS = 3.0


def _running(stack: Stack) -> str:
    instance, _ = stack.create()
    stack.settle()
    return instance.id


def _begin(instance_id: str, parent: Backup | None = None) -> tuple[Backup, Operation]:
    """Accept a backup as the API does, and hint the task manager."""
    row = instances.get_instance(instance_id)
    backup = backups.new_backup(row, "b", parent=parent)
    operation = operation_of(row, CREATE_BACKUP, arguments={"backup": backup.id}, asked=WHO)
    assert accepting.accept(row, operation, beside=backups.making(backup))
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
    backup = _made(stack, _running(stack))
    instance = new_instance()
    asked = {"users": [{"name": "alice", "password": PASSWORD}]}
    operation = operation_of(instance, RESTORE, arguments={"backup": backup.id}, asked=WHO)
    operation.sealed_args = keys.protect("operation", operation.id, json.dumps(asked).encode())
    held = held_by_instance(int(instance.flavor_ram), int(instance.volume_size))
    accepting.accept_create(instance, operation, held)
    queues.notify_task_manager(operation.id)
    return instance.id, {Status.ACTIVE, Status.ERROR}


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
    delete_backup,
    delete_backup_with_what_builds_on_it,
)
