"""I8, broken on purpose, is told."""

from __future__ import annotations

from tests.simulator.deployment import Deployment
from tests.simulator.invariants.breaking import as_guest, command, told_by


def ran_what_was_for_another(deployment: Deployment) -> None:
    row = command(deployment)
    row.generation = 2
    row.save()
    as_guest(deployment, "result", str(row.id))


test_a_broken_promise_is_told = told_by("I8", ran_what_was_for_another)
