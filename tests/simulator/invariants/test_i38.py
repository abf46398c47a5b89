"""I38, broken on purpose, is told."""

from __future__ import annotations

import json

from simulator.region import Reply
from tests.simulator.deployment import Deployment
from tests.simulator.invariants.breaking import instance, told_by


def lent_to_who_makes_none(deployment: Deployment) -> None:
    asked = {"instance_id": instance(deployment).id, "backup_id": "b"}
    for watch in deployment.region.replied:
        body = json.dumps(asked).encode()
        watch("POST", "/guest/v1/storage", {}, body, Reply(200, {}, b"{}"))


test_a_broken_promise_is_told = told_by("I38", lent_to_who_makes_none)
