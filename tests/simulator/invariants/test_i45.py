"""I45, broken on purpose, is told."""

from __future__ import annotations

import json
from typing import Any

import pytest

from chalicelib.store.models import Operation
from simulator.region import Reply
from simulator.versions import NEWER
from simulator.world import SECOND_ID
from tests.simulator.deployment import Deployment
from tests.simulator.invariants.breaking import instance, operation, replied, told_by


def created(deployment: Deployment, **asked: Any) -> None:
    """The create of the instance that is there was asked for so, and has succeeded."""
    row = instance(deployment)
    body = json.dumps({"instance": {"name": "db", **asked}}).encode()
    answer = json.dumps({"instance": {"id": row.id}}).encode()
    replied(deployment, "POST", f"/v1.0/{row.tenant_id}/instances", Reply(200, {}, answer), body)
    made = operation(deployment)
    made.update(actions=[Operation.status.set("RUNNING")])
    made.update(actions=[Operation.status.set("SUCCEEDED")])


def another_flavor(deployment: Deployment) -> None:
    created(deployment, flavorRef="of-nobody")


def another_size(deployment: Deployment) -> None:
    created(deployment, volume={"size": 17})


def another_network(deployment: Deployment) -> None:
    created(deployment, nics=[{"network_id": SECOND_ID}])


def another_image(deployment: Deployment) -> None:
    created(deployment, datastore={"type": "mariadb", "version": NEWER["mariadb"].name})


test_a_broken_promise_is_told = told_by(
    "I45", another_flavor, another_size, another_network, another_image
)


@pytest.mark.parametrize("asked", [{}, {"volume": {"size": 1}, "flavorRef": "1"}])
def test_what_was_asked_for_is_there(deployment: Deployment, asked: dict[str, Any]) -> None:
    created(deployment, **asked)
    assert not deployment.invariants.each["I45"].violations
    assert deployment.invariants.each["I45"].exercised
