"""I2, broken on purpose, is told."""

from __future__ import annotations

from chalicelib import aws
from chalicelib.store.models import Command, ServiceStatusRow
from tests.simulator.deployment import Deployment
from tests.simulator.invariants.breaking import as_guest, as_handler, command, told_by


def status_went_back(deployment: Deployment) -> None:
    row = next(iter(ServiceStatusRow.scan()))
    row.update(actions=[ServiceStatusRow.seq.set(0)])


def report_applied_twice(deployment: Deployment) -> None:
    row = next(iter(ServiceStatusRow.scan()))

    def report() -> None:
        row.update(actions=[ServiceStatusRow.status.set("crashed")])

    as_handler(deployment, "coffer-heartbeats", report)


def answered_twice(deployment: Deployment) -> None:
    command(deployment).update(actions=[Command.answered.set(aws.clock())])


def answer_lost(deployment: Deployment) -> None:
    row = command(deployment)
    row.id, row.answered = "lost", None
    row.save()
    deployment.region.mappings["coffer-conductor"].enable(False)
    as_guest(deployment, "result", "lost")


test_a_broken_promise_is_told = told_by(
    "I2", status_went_back, report_applied_twice, answered_twice, answer_lost
)
