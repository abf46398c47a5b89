"""The flows of backups that are snapshots, as they are prepared up to the hint."""

from __future__ import annotations

import json
from collections.abc import Callable

from chalicelib.bus import keys, queues
from chalicelib.cloud.errors import Refused
from chalicelib.domain.flows import CREATE_SNAPSHOT, DELETE_BACKUP, REBUILD, RESTORE_SNAPSHOT
from chalicelib.domain.quotas import held_by_instance
from chalicelib.lifecycle import Status
from chalicelib.status import BackupStatus
from chalicelib.store import accepting, backups, instances, making_backups
from chalicelib.store.models import Backup, Operation
from chalicelib.store.operations import operation_of
from simulator.cloud.model.cloud import GUEST_IMAGE
from simulator.cloud.model.identity import stable_id
from tests.support.rows import WHO, new_instance
from tests.support.simulated import PASSWORD, Stack


def running(stack: Stack) -> str:
    """An instance that is there."""
    instance, _ = stack.create()
    stack.settle()
    return instance.id


def begin(instance_id: str) -> tuple[Backup, Operation]:
    """Accept a snapshot as the API does, and hint the task manager."""
    row = instances.get_instance(instance_id)
    backup = making_backups.new_backup(row, "s", volume_id=row.resources["volume_id"])
    operation = operation_of(row, CREATE_SNAPSHOT, arguments={"backup": backup.id}, asked=WHO)
    assert accepting.accept(row, operation, beside=making_backups.making(backup))
    queues.notify_task_manager(operation.id)
    return backup, operation


def made(stack: Stack, instance_id: str) -> Backup:
    """A snapshot that is complete."""
    backup, _ = begin(instance_id)
    stack.settle()
    row = backups.get_backup(backup.id)
    assert row.status == BackupStatus.COMPLETED, row.fault_message
    return row


def restored(backup: Backup, *, more_gib: int = 0) -> str:
    """Accept an instance that begins with a snapshot, and so much more room; its id."""
    instance = new_instance(volume_size=int(backup.snapshot_gib or 0) + more_gib)
    asked = {"users": [{"name": "alice", "password": PASSWORD}]}
    operation = operation_of(instance, RESTORE_SNAPSHOT, arguments={"backup": backup.id}, asked=WHO)
    operation.sealed_args = keys.protect("operation", operation.id, json.dumps(asked).encode())
    held = held_by_instance(int(instance.flavor_ram), int(instance.volume_size))
    accepting.accept_create(instance, operation, held)
    queues.notify_task_manager(operation.id)
    return instance.id


def delete(backup: Backup) -> None:
    """Accept its deletion."""
    row = backups.get_backup(backup.id)
    operation = operation_of(row, DELETE_BACKUP, asked=WHO)
    assert accepting.accept(row, operation, decided_by=("children", "readers"))
    queues.notify_task_manager(operation.id)


def create_snapshot(stack: Stack) -> tuple[str, set[str]]:
    instance_id = running(stack)
    begin(instance_id)
    return instance_id, {Status.ACTIVE}


def create_snapshot_that_fails(stack: Stack) -> tuple[str, set[str]]:
    instance_id = running(stack)
    stack.spoil("volume", "create_snapshot", "error")
    begin(instance_id)
    return instance_id, {Status.ACTIVE}


def restore_snapshot(stack: Stack) -> tuple[str, set[str]]:
    return restored(made(stack, running(stack)), more_gib=1), {Status.ACTIVE, Status.ERROR}


def delete_snapshot(stack: Stack) -> tuple[str, set[str]]:
    instance_id = running(stack)
    delete(made(stack, instance_id))
    return instance_id, {Status.ACTIVE}


def delete_beside_its_snapshot(stack: Stack) -> tuple[str, set[str]]:
    """The instance and the only snapshot of its volume go at once."""
    instance_id = running(stack)
    backup = made(stack, instance_id)
    stack.delete(instance_id)
    delete(backup)
    return instance_id, {Status.DELETED}


def delete_the_last_snapshot(stack: Stack) -> tuple[str, set[str]]:
    """Of an instance that is gone: its volume goes with it."""
    instance_id = running(stack)
    backup = made(stack, instance_id)
    stack.delete(instance_id)
    stack.settle()
    delete(backup)
    return instance_id, {Status.DELETED}


def rebuild_on_a_kept_volume(stack: Stack) -> tuple[str, set[str]]:
    """Its delete has failed behind the mark, and a restored table knows none of it."""
    instance_id = running(stack)
    made(stack, instance_id)
    before = instances.get_instance(instance_id)
    stack.refusals["network.delete_port"] = Refused("The cloud refused to delete the port: busy")
    deletion = stack.delete(instance_id)
    stack.settle()
    del stack.refusals["network.delete_port"]
    deletion.delete()
    before.save()
    stack.job("recount_quotas")
    stack.accept(
        instance_id, REBUILD, {"image_id": stable_id("image", GUEST_IMAGE), "was": "ACTIVE"}
    )
    return instance_id, {Status.ACTIVE}


SNAPSHOTS: tuple[Callable[[Stack], tuple[str, set[str]]], ...] = (
    create_snapshot,
    create_snapshot_that_fails,
    restore_snapshot,
    delete_snapshot,
    delete_beside_its_snapshot,
    delete_the_last_snapshot,
    rebuild_on_a_kept_volume,
)
