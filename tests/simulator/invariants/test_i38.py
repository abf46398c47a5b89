"""I38, broken on purpose, is told."""

from __future__ import annotations

import json

from chalicelib.store import archives
from chalicelib.store.models import Instance
from simulator.region import Reply
from tests.simulator.deployment import Deployment
from tests.simulator.invariants.breaking import instance, told_by


def lent_to_who_makes_none(deployment: Deployment) -> None:
    asked = {"instance_id": instance(deployment).id, "backup_id": "b"}
    for watch in deployment.region.replied:
        body = json.dumps(asked).encode()
        watch("POST", "/guest/v1/storage", {}, body, Reply(200, {}, b"{}"))


def refused(deployment: Deployment, *, after: float = 200.0, generation: int = 1) -> None:
    """A guest that is to send its log is told that nobody needs it."""
    row = instance(deployment)
    archive = archives.new_archive(row, "s")
    archive.save()
    row.update(actions=[Instance.archive_id.set(archive.id)])
    deployment.run(after)
    asked = {"instance_id": row.id, "backup_id": archive.id, "generation": generation}
    for watch in deployment.region.replied:
        watch("POST", "/guest/v1/storage", {}, json.dumps(asked).encode(), Reply(410, {}, b"{}"))


def not_lent_to_whose_log_it_is(deployment: Deployment) -> None:
    refused(deployment)


test_a_broken_promise_is_told = told_by("I38", lent_to_who_makes_none, not_lent_to_whose_log_it_is)


def test_who_was_replaced_is_refused(deployment: Deployment) -> None:
    refused(deployment, generation=0)
    assert not deployment.invariants.each["I38"].violations


def test_what_has_just_changed_may_be_answered_as_it_was(deployment: Deployment) -> None:
    deployment.region.dynamodb.most_lag_seconds = 60.0
    refused(deployment, after=10.0)
    assert not deployment.invariants.each["I38"].violations


def test_who_is_being_deleted_is_refused(deployment: Deployment) -> None:
    instance(deployment).update(actions=[Instance.status.set("SHUTDOWN")])
    refused(deployment)
    assert not deployment.invariants.each["I38"].violations
