"""I25, broken on purpose, is told."""

from __future__ import annotations

from chalicelib import aws
from chalicelib.store.models import Command, Operation
from tests.simulator.deployment import Deployment
from tests.simulator.invariants.breaking import command, operation, told_by


def went_on_from_nonsense(deployment: Deployment) -> None:
    command(deployment).update(actions=[Command.result.set({"status": 1})])
    row = operation(deployment)
    row.update(actions=[Operation.ended["prepare"].remove()])
    row.update(actions=[Operation.ended["prepare"].set(aws.clock())])


test_a_broken_promise_is_told = told_by("I25", went_on_from_nonsense)
