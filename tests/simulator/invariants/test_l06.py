"""L6, broken on purpose, is told."""

from __future__ import annotations

from chalicelib import aws
from chalicelib.status import BackupStatus
from chalicelib.store import making_backups
from chalicelib.store.models import Operation
from simulator.fleet.datastore import NOTHING, Database
from tests.simulator.deployment import Deployment
from tests.simulator.invariants.breaking import command, instance, operation, told_by


def restored_otherwise(deployment: Deployment) -> None:
    row, asked = operation(deployment), command(deployment)
    row.update(actions=[Operation.arguments.set({"backup": "b"})])
    held = NOTHING.with_database("of the backup", Database())
    deployment.invariants.hub.points["b"] = held
    asked.id, asked.method, asked.operation_id = "apply", "apply_backup", row.id
    asked.answered, asked.result = aws.clock(), {}
    asked.save()


def complete_and_not_to_be_read(deployment: Deployment) -> None:
    made = making_backups.new_backup(instance(deployment), "b")
    made.status, made.checksum, made.position = BackupStatus.COMPLETED, "ab" * 32, "1"
    made.save()
    deployment.invariants.hub.points[made.id] = NOTHING


test_a_broken_promise_is_told = told_by("L6", restored_otherwise, complete_and_not_to_be_read)
