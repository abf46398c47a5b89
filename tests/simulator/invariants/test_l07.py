"""L7, broken on purpose, is told."""

from __future__ import annotations

from chalicelib.store.models import ServiceStatusRow
from tests.simulator.deployment import Deployment
from tests.simulator.invariants.breaking import instance, told_by


def wrong_status(deployment: Deployment) -> None:
    for guest in deployment.fleet:
        guest.up = False


def wrong_volume(deployment: Deployment) -> None:
    row = next(iter(ServiceStatusRow.scan()))
    row.update(actions=[ServiceStatusRow.volume_total.set(17)])


def wrong_agent(deployment: Deployment) -> None:
    row = ServiceStatusRow(instance(deployment).id)
    row.update(actions=[ServiceStatusRow.agent_version.set("0.9")])
    deployment.invariants.check_healed()


test_a_broken_promise_is_told = told_by("L7", wrong_status, wrong_volume, wrong_agent)
