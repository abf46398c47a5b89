"""L5, broken on purpose, is told."""

from __future__ import annotations

from chalicelib.store.models import Quota
from tests.simulator.deployment import Deployment
from tests.simulator.invariants.breaking import told_by


def not_released(deployment: Deployment) -> None:
    deployment.do(lambda: deployment.delete_all(deployment.tenant))
    next(iter(Quota.scan())).update(actions=[Quota.volumes.set(3)])


test_a_broken_promise_is_told = told_by("L5", not_released)
