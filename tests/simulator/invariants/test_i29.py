"""I29, broken on purpose, is told."""

from __future__ import annotations

from chalicelib.store.models import Instance
from tests.simulator.deployment import Deployment
from tests.simulator.invariants.breaking import instance, told_by


def another_version(deployment: Deployment) -> None:
    """It is told as soon as it was asked for."""
    instance(deployment).update(actions=[Instance.datastore_version_number.set("10.11.9")])
    deployment.invariants.check()


def another_series(deployment: Deployment) -> None:
    """An engine was at the data that the one of before cannot follow."""
    for each in deployment.fleet.volumes.values():
        each.touched_by = "11.4.2"
    deployment.invariants.check()


test_a_broken_promise_is_told = told_by("I29", another_version, another_series)
