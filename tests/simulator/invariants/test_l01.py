"""L1, broken on purpose, is told."""

from __future__ import annotations

from chalicelib import aws
from chalicelib.domain.flows import REMOVALS
from chalicelib.store.models import Instance, Operation
from chalicelib.taskmanager import executions
from simulator.kernel import START
from simulator.region import Reply
from tests.simulator.deployment import Deployment
from tests.simulator.invariants.breaking import (
    OTHER,
    as_handler,
    instance,
    operation,
    replied,
    told_by,
)


def never_ends(deployment: Deployment) -> None:
    row = operation(deployment)
    row.id, row.status, row.live, row.check_at = "1", "RUNNING", "live", 1e12
    row.save()


def failed_in_fair_weather(deployment: Deployment) -> None:
    deployment.invariants.hub.fair_since = START
    operation(deployment).update(actions=[Operation.status.set("FAILED")])


def turned_back_late(deployment: Deployment) -> None:
    deployment.invariants.hub.fair_since = START
    row = operation(deployment)
    row.id, row.status, row.deadline = "1", "RUNNING", START
    row.save()
    deployment.run(600)
    row.update(actions=[Operation.compensating.set(True)])


def changed(row: Operation, number: str, action: str, status: str) -> Operation:
    """Another operation like one that is there."""
    row.id, row.action, row.status, row.ended = number, action, status, {}
    row.save()
    return row


def delete_cancelled_that_removed_everything(deployment: Deployment) -> None:
    delete = changed(operation(deployment), "1", "delete_instance", "RUNNING")
    ended = Operation.ended.set(dict.fromkeys(REMOVALS, aws.clock()))
    reason = Operation.reason.set("The deletion was forced.")
    delete.update(actions=[ended, reason, Operation.status.set("CANCELLED")])


def delete_waits_for_a_change(deployment: Deployment) -> None:
    change = changed(operation(deployment), "1", "update_access", "RUNNING")
    delete = changed(operation(deployment), "2", "delete_instance", "QUEUED")
    owner, waiting = Instance.operation_id, Instance.next_operation_id
    instance(deployment).update(actions=[owner.set(change.id), waiting.set(delete.id)])
    deployment.run(0)
    for row in (change, delete):
        row.update(actions=[Operation.status.set("SUCCEEDED")])


def stopped_early(deployment: Deployment) -> None:
    row = operation(deployment)
    as_handler(deployment, "coffer-sweeper", lambda: executions.stop(row))


def accepted_without_a_row(deployment: Deployment) -> None:
    body = f'{{"instance": {{"id": "{OTHER}"}}}}'.encode()
    replied(deployment, "POST", "/v1.0/tenant-1/instances", Reply(200, {}, body))


test_a_broken_promise_is_told = told_by(
    "L1",
    never_ends,
    failed_in_fair_weather,
    turned_back_late,
    delete_cancelled_that_removed_everything,
    delete_waits_for_a_change,
    stopped_early,
    accepted_without_a_row,
)


def test_what_a_hostile_guest_has_fail_of_its_tenants_is_no_violation(
    deployment: Deployment,
) -> None:
    """Also what is done for a configuration of that tenant's, which is no instance."""
    deployment.invariants.hub.hostile.add(operation(deployment).tenant_id)
    failed_in_fair_weather(deployment)
    assert not deployment.invariants.each["L1"].violations
