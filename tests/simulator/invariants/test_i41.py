"""I41, broken on purpose, is told."""

from __future__ import annotations

from chalicelib.domain.flows import CREATE_BACKUP
from chalicelib.store import making_backups
from chalicelib.store.models import Operation
from chalicelib.store.operations import operation_of
from tests.simulator.deployment import Deployment
from tests.simulator.invariants.breaking import as_handler, instance, told_by


def stays_after_its_last_backup(deployment: Deployment) -> None:
    row = instance(deployment)
    backup = making_backups.new_backup(row, "last")
    operation = operation_of(row, CREATE_BACKUP, arguments={"backup": backup.id, "final": True})

    def made() -> None:
        backup.save()
        operation.save()
        operation.update(actions=[Operation.status.set("SUCCEEDED")])

    as_handler(deployment, "taskmanager", made)


test_a_broken_promise_is_told = told_by("I41", stays_after_its_last_backup)
