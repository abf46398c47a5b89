"""I43, broken on purpose, is told."""

from __future__ import annotations

import json
from typing import Any

import pytest

from chalicelib.domain.containers import Container
from chalicelib.store import making_backups
from chalicelib.store.models import Backup
from simulator.invariants.i43_places import REQUEST_SECONDS
from simulator.region import Reply
from tests.simulator.deployment import Deployment
from tests.simulator.invariants.breaking import as_handler, instance, replied, told_by

NIGHTLY = Container("https://swift/v1/AUTH_t/nightly%20ones", 1)


def chosen(deployment: Deployment, name: str | None, *, status: int = 202) -> None:
    """A strategy of the project is set, or taken away, and that was answered."""
    asked = {"backup_strategy": {"swift_container": name}} if name is not None else None
    method, body = "POST" if asked else "DELETE", json.dumps(asked).encode() if asked else b""
    tenant = instance(deployment).tenant_id
    path = f"/v1.0/{tenant}/backup_strategies"
    headers = {"X-Auth-Token": deployment.region.log_in(tenant, "member")}
    for ask in deployment.region.asked:
        ask(method, path, body)
    for watch in deployment.region.replied:
        watch(method, path, headers, body, Reply(status, {}, b""))


def made(deployment: Deployment, container: Container | None, **more: Any) -> Backup:
    """A schedule makes a backup."""
    row = making_backups.new_backup(instance(deployment), "b", container=container, **more)
    as_handler(deployment, "taskmanager", row.save)
    return row


def where_no_strategy_says(deployment: Deployment) -> None:
    made(deployment, NIGHTLY)


def in_the_bucket_against_a_strategy(deployment: Deployment) -> None:
    chosen(deployment, "nightly ones")
    deployment.run(REQUEST_SECONDS)
    made(deployment, None)


def apart_from_what_it_builds_on(deployment: Deployment) -> None:
    full = made(deployment, None)
    full.container_url, full.container_key = NIGHTLY.url, NIGHTLY.key
    made(deployment, NIGHTLY, parent=full)


def not_listed(deployment: Deployment) -> None:
    chosen(deployment, "nightly ones")
    tenant = instance(deployment).tenant_id
    body = b'{"backup_strategies": []}'
    replied(deployment, "GET", f"/v1.0/{tenant}/backup_strategies", Reply(200, {}, body))


test_a_broken_promise_is_told = told_by(
    "I43",
    where_no_strategy_says,
    in_the_bucket_against_a_strategy,
    apart_from_what_it_builds_on,
    not_listed,
)


def test_a_strategy_that_is_kept_holds(deployment: Deployment) -> None:
    chosen(deployment, "nightly ones")
    deployment.run(REQUEST_SECONDS)
    made(deployment, NIGHTLY)
    chosen(deployment, None)
    deployment.run(REQUEST_SECONDS)
    made(deployment, None)
    assert deployment.invariants.results()["I43"].verdict == "holds", deployment.explain()


@pytest.mark.parametrize("status", [202, 503])
def test_what_has_just_changed_or_had_no_clear_answer_says_nothing(
    deployment: Deployment, status: int
) -> None:
    chosen(deployment, "nightly ones", status=status)
    deployment.run(REQUEST_SECONDS if status == 503 else 1.0)
    made(deployment, None)
    assert not deployment.invariants.each["I43"].violations


def test_of_two_changes_at_once_nobody_knows_which_one_counts(deployment: Deployment) -> None:
    tenant = instance(deployment).tenant_id
    path, body = f"/v1.0/{tenant}/backup_strategies", b'{"backup_strategy": {}}'
    for ask in deployment.region.asked:
        ask("POST", path, body)
    chosen(deployment, "nightly ones")
    replied(deployment, "POST", path, Reply(202, {}, b""), body)
    deployment.run(REQUEST_SECONDS)
    made(deployment, None)
    assert not deployment.invariants.each["I43"].violations
