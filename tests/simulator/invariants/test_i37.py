"""I37, broken on purpose, is told."""

from __future__ import annotations

from tests.simulator.deployment import Deployment
from tests.simulator.invariants.breaking import told_by


def never_taken_again(deployment: Deployment) -> None:
    for guest in deployment.fleet:
        guest.closed = True
    deployment.invariants.check_healed()


def not_refused(deployment: Deployment) -> None:
    deployment.run(200)
    for guest in deployment.fleet:
        deployment.fleet.leave_room(guest.server_id, 0.5)
    deployment.run(60)
    for guest in deployment.fleet:
        guest.closed = False
    deployment.run(70)


test_a_broken_promise_is_told = told_by("I37", never_taken_again, not_refused)
