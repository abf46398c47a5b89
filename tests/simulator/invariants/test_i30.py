"""I30, broken on purpose, is told."""

from __future__ import annotations

import pytest

from chalicelib.bus.contract import FIRST_RELEASE
from chalicelib.domain.flows import RESIZE_FLAVOR
from chalicelib.store.models import ServiceStatusRow
from simulator.region import Reply
from tests.simulator.deployment import Deployment
from tests.simulator.invariants.breaking import OTHER, instance, operation, replied, told_by


def accepted_all_the_same(deployment: Deployment) -> None:
    for guest in deployment.fleet:
        guest.disk.release = FIRST_RELEASE
    deployment.run(900)
    row = operation(deployment)
    row.id, row.action, row.status = OTHER, RESIZE_FLAVOR.action, "ACCEPTED"
    row.save()


def refused_all_the_same(deployment: Deployment) -> None:
    row = instance(deployment)
    deployment.run(200)
    path = f"/v1.0/{row.tenant_id}/instances/{row.id}/action"
    content = b'{"notImplemented": {"code": 501, "message": "an older release"}}'
    replied(deployment, "POST", path, Reply(501, {}, content))


def another_release_stored(deployment: Deployment) -> None:
    report = next(iter(ServiceStatusRow.scan()))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(deployment.invariants.hub, "heartbeats", lambda: {report.instance_id: []})
        report.update(actions=[ServiceStatusRow.agent_release.set(0)])


test_a_broken_promise_is_told = told_by(
    "I30", accepted_all_the_same, refused_all_the_same, another_release_stored
)


def test_a_report_of_before_its_disk_was_replaced_is_none_of_the_new_one(
    deployment: Deployment,
) -> None:
    for server_id in list(deployment.cloud.compute.servers):
        deployment.cloud.compute.evacuate(server_id)
    deployment.run(1)
    another_release_stored(deployment)
    assert deployment.invariants.violations == []
