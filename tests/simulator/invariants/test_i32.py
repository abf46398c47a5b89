"""I32, broken on purpose, is told."""

from __future__ import annotations

import json

import pytest

from chalicelib.store.models import Instance
from simulator.region import Reply
from tests.simulator.deployment import Deployment
from tests.simulator.invariants.breaking import instance, replied, told_by


def listed(deployment: Deployment, query: str, *shown: dict[str, str]) -> None:
    """A tenant's list, long after anything has changed."""
    row = instance(deployment)
    deployment.run(200)
    content = json.dumps({"instances": shown}).encode()
    path = f"/v1.0/{row.tenant_id}/instances{query}"
    replied(deployment, "GET", path, Reply(200, {}, content))


def not_listed(deployment: Deployment) -> None:
    listed(deployment, "?status=ACTIVE")


def listed_all_the_same(deployment: Deployment) -> None:
    listed(deployment, "?tags=blue", {"id": instance(deployment).id})


def another_order(deployment: Deployment) -> None:
    shown = ({"id": "1", "name": "b"}, {"id": "2", "name": "a"})
    listed(deployment, "?sort_key=name&limit=2", *shown)


test_a_broken_promise_is_told = told_by("I32", not_listed, listed_all_the_same, another_order)


@pytest.mark.parametrize("status", ["ACTIVE", "RESTART_REQUIRED"])
def test_what_waits_for_a_start_is_listed_as_that(deployment: Deployment, status: str) -> None:
    row = instance(deployment)
    row.update(actions=[Instance.log_waits.set(True)])
    shown = [{"id": row.id}] if status == "RESTART_REQUIRED" else []
    listed(deployment, f"?status={status}", *shown)
    assert not deployment.invariants.each["I32"].violations
