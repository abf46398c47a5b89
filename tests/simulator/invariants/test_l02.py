"""L2, broken on purpose, is told."""

from __future__ import annotations

from chalicelib.cloud import names
from chalicelib.store.models import ServiceStatusRow
from simulator.template import BACKUPS_BUCKET
from tests.simulator.deployment import Deployment
from tests.simulator.invariants.breaking import OTHER, as_handler, told_by


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


def objects_left(deployment: Deployment) -> None:
    """They were there when somebody looked last."""
    place = {"Bucket": BACKUPS_BUCKET, "Prefix": "tenant/b/b/"}
    written = {"Bucket": BACKUPS_BUCKET, "Key": "tenant/b/b/attempt/0", "Body": b"part"}

    def look() -> None:
        client = deployment.region.clients["s3"]
        client.put_object(**written)
        client.list_objects_v2(**place)

    as_handler(deployment, "somebody", look)


test_a_broken_promise_is_told = told_by("L2", orphan, queue_left, report_left, objects_left)
