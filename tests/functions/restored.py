"""Tables as they were at a moment, and the jobs that an operator runs after it."""

from __future__ import annotations

from typing import Any

from chalicelib.domain.flows import REBUILD, RESIZE_VOLUME
from chalicelib.domain.operations import OperationStatus
from chalicelib.lifecycle import Status
from chalicelib.store import instances
from chalicelib.store.base import as_dict
from chalicelib.store.models import Instance, Operation
from functions import handler
from tests.support.simulated import Stack

ALL = ("restore_rows", "adopt", "restore_groups", "recount_quotas", "tell_lost")


def run(*steps: str, check: bool = False) -> list[str]:
    """Run jobs to their last pages; answers what they told."""
    told: list[str] = []
    for step in steps or ALL:
        following: dict[str, Any] | None = {}
        while following is not None:
            answer = handler.cloud({"step": step, "check": check, **following}, None)
            told += answer["told"]
            following = answer["next"]
    return list(dict.fromkeys(told))


class Backup:
    """Tables as they were at a moment."""

    def __init__(self, stack: Stack, *models: Any) -> None:
        self._stack = stack
        self._tables = [stack.region.dynamodb.tables[model.Meta.table_name] for model in models]
        self._snapshots = [table.snapshot() for table in self._tables]

    def restore(self) -> None:
        self._stack.invariants.hub.restoring = True
        for table, snapshot in zip(self._tables, self._snapshots, strict=True):
            table.restore(snapshot, self._stack.kernel.now)


def lose_row(stack: Stack, instance_id: str) -> None:
    """As a restore to a moment before it was made."""
    stack.invariants.hub.restoring = True
    Instance(instance_id).delete()


def created(stack: Stack) -> str:
    instance, _ = stack.create()
    stack.settle()
    return instance.id


def plain(instance_id: str) -> dict[str, Any]:
    row = instances.find_instance(instance_id)
    assert row is not None
    return {name: value for name, value in row.attribute_values.items() if name != "updated"}


def replacing(stack: Stack, instance_id: str, step: str) -> Backup:
    """A rebuild up to the end of a step, and the rows of before."""
    (image_id,) = {server.image_id for server in stack.servers}
    operation = stack.accept(instance_id, REBUILD, {"image_id": image_id, "was": "ACTIVE"})
    backup = Backup(stack, Instance)
    for _ in range(1000):
        if step in as_dict(Operation.get(operation.id).ended):
            return backup
        stack.run(0.1)
    raise AssertionError(f"{step} did not end")


def resize(stack: Stack, instance_id: str) -> None:
    holds = {**instances.get_instance(instance_id).held, "volumes": 5}
    stack.accept(instance_id, RESIZE_VOLUME, {"volume_size": 5}, holds=holds)


def queued(stack: Stack, instance_id: str) -> Operation:
    """A delete that waits: for a create that was called back, or a change of the access."""
    row = instances.get_instance(instance_id)
    deletion = stack.force_delete(row.id) if row.status == Status.BUILD else stack.delete(row.id)
    assert deletion.status == OperationStatus.QUEUED
    return deletion
