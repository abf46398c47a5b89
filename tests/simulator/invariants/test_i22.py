"""I22, broken on purpose, is told."""

from __future__ import annotations

from chalicelib.store.models import Instance
from tests.simulator.deployment import Deployment
from tests.simulator.invariants.breaking import instance, told_by


def other_size(deployment: Deployment) -> None:
    instance(deployment).update(actions=[Instance.volume_size.set(9)])
    deployment.invariants.check()


def file_system_left_small(deployment: Deployment) -> None:
    next(iter(deployment.fleet.volumes.values())).file_system_gib = 0
    deployment.invariants.check()


test_a_broken_promise_is_told = told_by("I22", other_size, file_system_left_small)
