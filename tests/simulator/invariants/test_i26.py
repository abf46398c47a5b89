"""I26, broken on purpose, is told."""

from __future__ import annotations

from chalicelib.store.models import Command, Guest, Instance, ServiceStatusRow
from tests.simulator.deployment import Deployment
from tests.simulator.invariants.breaking import command, instance, told_by


def two_are_heard(deployment: Deployment) -> None:
    """The row of the instance has a new guest, that of its reports goes on with the old one."""
    instance(deployment).update(actions=[Instance.generation.set(2)])


def a_late_answer(deployment: Deployment) -> None:
    row = instance(deployment)
    row.update(actions=[Instance.generation.set(2)])
    ServiceStatusRow(row.id).update(actions=[ServiceStatusRow.generation.set(2)])
    deployment.run(120)
    command(deployment).update(actions=[Command.stage.set("at it still")])


def a_session(deployment: Deployment) -> None:
    row = instance(deployment)
    row.update(actions=[Instance.generation.set(2)])
    ServiceStatusRow(row.id).update(actions=[ServiceStatusRow.generation.set(2)])
    deployment.run(120)
    Guest(row.id, 1).update(actions=[Guest.epoch.add(1)])


def a_generation_that_comes_back(deployment: Deployment) -> None:
    instance(deployment).update(actions=[Instance.generation.set(0)])


test_a_broken_promise_is_told = told_by(
    "I26", two_are_heard, a_late_answer, a_session, a_generation_that_comes_back
)
