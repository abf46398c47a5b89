"""I4, broken on purpose, is told."""

from __future__ import annotations

from chalicelib.cloud import names
from chalicelib.store.models import Guest
from tests.simulator.deployment import Deployment
from tests.simulator.invariants.breaking import told_by


def two_volumes(deployment: Deployment) -> None:
    instance_id = deployment.instances()[0]["id"]
    deployment.cloud.volume.create(
        deployment.cloud_functions.caller,
        1,
        name=names.volume(instance_id),
        metadata=names.metadata(instance_id, 1),
    )


def enrolled_again(deployment: Deployment) -> None:
    next(iter(Guest.scan())).update(actions=[Guest.server_id.set("another")])


test_a_broken_promise_is_told = told_by("I4", two_volumes, enrolled_again)
