"""L2, broken on purpose, is told."""

from __future__ import annotations

from chalicelib.cloud import names
from chalicelib.store.models import ServiceStatusRow
from tests.simulator.deployment import Deployment
from tests.simulator.invariants.breaking import OTHER, told_by


def orphan(deployment: Deployment) -> None:
    caller = deployment.cloud_functions.caller
    marks = names.metadata(OTHER, 1)
    deployment.cloud.volume.create(caller, 1, name=names.volume(OTHER), metadata=marks)


def queue_left(deployment: Deployment) -> None:
    deployment.region.sqs.create_queue(QueueName=f"coffer-guest-{OTHER}-1")


def report_left(deployment: Deployment) -> None:
    row = next(iter(ServiceStatusRow.scan()))
    row.instance_id = OTHER
    row.save()


test_a_broken_promise_is_told = told_by("L2", orphan, queue_left, report_left)
