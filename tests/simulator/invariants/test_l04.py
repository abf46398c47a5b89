"""L4, broken on purpose, is told."""

from __future__ import annotations

from tests.simulator.deployment import Deployment
from tests.simulator.invariants.breaking import told_by


def left_on_a_queue(deployment: Deployment) -> None:
    deployment.region.mappings["coffer-conductor"].enable(False)
    deployment.region.sqs.send_message(
        QueueUrl=deployment.region.sqs.url("coffer-conductor"), MessageBody="{}"
    )


test_a_broken_promise_is_told = told_by("L4", left_on_a_queue)
