"""I23, broken on purpose, is told."""

from __future__ import annotations

from chalicelib.bus.contract.arguments import Flavor
from chalicelib.store.models import Instance
from tests.simulator.deployment import Deployment
from tests.simulator.invariants.breaking import instance, told_by


def another_flavor(deployment: Deployment) -> None:
    instance(deployment).update(actions=[Instance.flavor_id.set("2")])
    deployment.invariants.check()


def settings_left(deployment: Deployment) -> None:
    next(iter(deployment.fleet.guests.values())).runs_for = Flavor(1024, 1)
    deployment.invariants.check()


test_a_broken_promise_is_told = told_by("I23", another_flavor, settings_left)
