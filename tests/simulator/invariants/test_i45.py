"""I45, broken on purpose, is told."""

from __future__ import annotations

import json
from typing import Any

import pytest

from chalicelib.store import making_backups
from chalicelib.store.models import Operation
from simulator.region import Reply
from simulator.versions import NEWER
from simulator.world import SECOND_ID
from tests.simulator.deployment import Deployment
from tests.simulator.invariants.breaking import instance, operation, replied, told_by
from tests.support.rows import new_instance


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


def restored(deployment: Deployment, log: dict[str, Any], **point: str) -> None:
    """It has begun with the backup `b` of `source`, and that of its log."""
    source = new_instance()
    source.id, source.manager = "source", "postgresql"
    held = making_backups.new_backup(source, "base")
    held.id, held.reached_position = "b", "0/10"
    held.save()
    row = operation(deployment)
    row.update(actions=[Operation.arguments.set({"backup": "b", "log": log})])
    created(deployment, restorePoint=point)


def another_backup(deployment: Deployment) -> None:
    restored(deployment, {}, backupRef="https://trove/backups/another")


def another_source(deployment: Deployment) -> None:
    restored(deployment, {}, instance="another", position="0/10")


def another_moment(deployment: Deployment) -> None:
    restored(deployment, {"target_ms": 1}, instance="source", time="2026-11-28T12:00:00Z")


def no_moment(deployment: Deployment) -> None:
    restored(deployment, {}, instance="source", time="2026-11-28T12:00:00Z")


def another_position(deployment: Deployment) -> None:
    log = {"target_ms": 1, "target_position": "0/20"}
    restored(deployment, log, instance="source", position="0/21")


test_a_broken_promise_is_told = told_by(
    "I45",
    another_flavor,
    another_size,
    another_network,
    another_image,
    another_backup,
    another_source,
    another_moment,
    no_moment,
    another_position,
)


@pytest.mark.parametrize("asked", [{}, {"volume": {"size": 1}, "flavorRef": "1"}])
def test_what_was_asked_for_is_there(deployment: Deployment, asked: dict[str, Any]) -> None:
    created(deployment, **asked)
    assert not deployment.invariants.each["I45"].violations
    assert deployment.invariants.each["I45"].exercised


@pytest.mark.parametrize(
    ("log", "point"),
    [
        ({}, {"backupRef": "https://trove/backups/b"}),
        ({}, {"instance": "source", "position": "0/10"}),
        ({"target_ms": 946_684_800_000}, {"instance": "source", "time": "2000-01-01"}),
        ({"target_ms": 1, "target_position": "0/20"}, {"backupRef": "b", "position": "0/20"}),
    ],
)
def test_the_data_that_were_asked_for_are_no_broken_promise(
    deployment: Deployment, log: dict[str, Any], point: dict[str, str]
) -> None:
    restored(deployment, log, **point)
    assert not deployment.invariants.each["I45"].violations
