"""I13, broken on purpose, is told."""

from __future__ import annotations

import json

from simulator.region import Reply
from tests.simulator.deployment import Deployment
from tests.simulator.invariants.breaking import replied, told_by


def answered_500(deployment: Deployment) -> None:
    body = b'{"instanceFault": {"code": 500, "message": "Internal Server Error."}}'
    replied(deployment, "GET", "/v1.0/tenant-1/instances", Reply(500, {}, body))


def misshapen(deployment: Deployment) -> None:
    replied(deployment, "GET", "/v1.0/tenant-1/instances", Reply(200, {}, b'{"instance": []}'))


def told_of_nowhere(deployment: Deployment) -> None:
    replied(deployment, "GET", "/v1.0/tenant-1/instances", Reply(201, {}, b""))


def one_attribute_more(deployment: Deployment) -> None:
    limits = {"verb": "ABSOLUTE", "max_instances": 1, "max_ram": 1, "max_volumes": 1}
    body = json.dumps({"limits": [{**limits, "max_backups": 1, "max_modules": 1}]}).encode()
    replied(deployment, "GET", "/v1.0/tenant-1/limits", Reply(200, {}, body))


test_a_broken_promise_is_told = told_by(
    "I13", answered_500, misshapen, told_of_nowhere, one_attribute_more
)
