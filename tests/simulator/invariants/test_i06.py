"""I6, broken on purpose, is told."""

from __future__ import annotations

from simulator.region import Reply
from tests.simulator.deployment import Deployment
from tests.simulator.invariants.breaking import replied, told_by


def told_to_another(deployment: Deployment) -> None:
    body = f'{{"instances": [{{"id": "{deployment.instances()[0]["id"]}"}}]}}'.encode()
    replied(deployment, "GET", "/v1.0/tenant-2/instances", Reply(200, {}, body))


def told_by_a_filter(deployment: Deployment) -> None:
    instance_id = deployment.instances()[0]["id"]
    body = f'{{"backups": [{{"instance_id": "{instance_id}"}}]}}'.encode()
    path = f"/v1.0/tenant-2/backups?instance_id={instance_id}"
    replied(deployment, "GET", path, Reply(200, {}, body))


test_a_broken_promise_is_told = told_by("I6", told_to_another, told_by_a_filter)
