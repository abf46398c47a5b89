"""L11, broken on purpose, is told."""

from __future__ import annotations

from tests.simulator.deployment import Deployment
from tests.simulator.invariants.breaking import told_by


def left_dead(deployment: Deployment) -> None:
    for guest in deployment.fleet:
        guest.up = False


test_a_broken_promise_is_told = told_by("L11", left_dead)
