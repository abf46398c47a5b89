"""L3, broken on purpose, is told."""

from __future__ import annotations

from chalicelib.store.models import Instance
from tests.simulator.deployment import Deployment
from tests.simulator.invariants.breaking import instance, told_by


def silent(deployment: Deployment) -> None:
    for guest in deployment.fleet:
        guest.power_off()
    deployment.run(400)


def error_without_a_reason(deployment: Deployment) -> None:
    instance(deployment).update(actions=[Instance.status.set("ERROR")])


test_a_broken_promise_is_told = told_by("L3", silent, error_without_a_reason)
