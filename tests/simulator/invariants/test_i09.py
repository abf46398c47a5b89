"""I9, broken on purpose, is told."""

from __future__ import annotations

from chalicelib import aws
from chalicelib.store.models import Command, Instance, ServiceStatusRow
from simulator.invariants.marks import FORGED_HEADER, FORGED_MARK, FORGED_NUMBER, FORGER
from simulator.region import Reply
from tests.simulator.deployment import Deployment
from tests.simulator.invariants.breaking import as_handler, command, instance, told_by


def forged_text(deployment: Deployment) -> None:
    instance(deployment).update(actions=[Instance.name.set(f"{FORGED_MARK}name")])


def forged_number(deployment: Deployment) -> None:
    row = next(iter(ServiceStatusRow.scan()))
    row.update(actions=[ServiceStatusRow.seq.set(FORGED_NUMBER)])


def answer_that_nobody_sent(deployment: Deployment) -> None:
    row = command(deployment)
    row.update(actions=[Command.answered.set(aws.clock()), Command.result.set({"status": "x"})])


def forger_heard(deployment: Deployment) -> None:
    path = f"/v1.0/tenant-1/instances/{deployment.instances()[0]['id']}"
    headers = {"X-Auth-Token": deployment.tenant.token, "Content-Type": "application/json"}
    body = b'{"instance": {"name": "mine"}}'

    def rename() -> None:
        deployment.region.http("PUT", path, {**headers, FORGED_HEADER: "1"}, body)

    deployment.do(rename)


def forger_answered(deployment: Deployment) -> None:
    """What it asks for changes nothing, and tells it much."""
    body = b"{}"

    def ask() -> None:
        for watch in deployment.region.replied:
            watch("POST", "/guest/v1/renew", {FORGED_HEADER: "1"}, body, Reply(200, {}, body))

    as_handler(deployment, FORGER, ask)


test_a_broken_promise_is_told = told_by(
    "I9", forged_text, forged_number, answer_that_nobody_sent, forger_heard, forger_answered
)
