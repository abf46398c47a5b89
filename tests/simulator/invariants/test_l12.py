"""L12, broken on purpose, is told."""

from __future__ import annotations

from chalicelib import aws
from chalicelib.domain.archives import State
from chalicelib.store.models import Archive, Operation
from simulator.fleet.datastore import NOTHING, Database
from tests.simulator.deployment import Deployment
from tests.simulator.invariants.breaking import command, operation, told_by


def restored_otherwise(deployment: Deployment) -> None:
    row, asked = operation(deployment), command(deployment)
    archive = Archive(
        "a",
        tenant_id=row.tenant_id,
        instance_id="source",
        created=0.0,
        updated=0.0,
        schedule_id="s",
        location="t/log/a",
        state=State.RUNS,
    )
    archive.save()
    held = NOTHING.with_database("of the moment", Database())
    deployment.invariants.hub.histories["source"] = [(0, held)]
    log = {"archive": "a", "target_ms": 5}
    row.update(actions=[Operation.arguments.set({"backup": "b", "log": log})])
    asked.id, asked.method, asked.operation_id = "apply", "apply_backup", row.id
    asked.answered, asked.result = aws.clock(), {}
    asked.save()


test_a_broken_promise_is_told = told_by("L12", restored_otherwise)
