"""L8, broken on purpose, is told."""

from __future__ import annotations

from tests.simulator.deployment import Deployment
from tests.simulator.invariants.breaking import told_by


def storm(deployment: Deployment) -> None:
    deployment.region.effects.calls["storm", "dynamodb", "GetItem"] += 100_000


test_a_broken_promise_is_told = told_by("L8", storm)
