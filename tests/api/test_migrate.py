"""The administrators' action `migrate`: whose it is, what it names, where it is accepted."""

from __future__ import annotations

from typing import Any

import pytest

from chalicelib import aws
from chalicelib.lifecycle import Status
from chalicelib.settings import settings
from chalicelib.store.models import Instance, ServiceStatusRow
from tests.api.client import Answer, Api
from tests.api.conftest import Make, operations

TINY = {"ram": 512, "vcpus": 1}


def ask(api: Api, row: Instance, body: Any = None, query: str = "") -> Answer:
    return api.post(f"/mgmt/instances/{row.id}/action{query}", {"migrate": body})


@pytest.mark.parametrize(
    ("body", "host"),
    [({}, None), (None, None), ({"host": None}, None), ({"host": "a.b"}, "a.b")],
)
def test_a_migration_is_an_operation(
    admin: Api, make: Make, hints: list[str], body: Any, host: str | None
) -> None:
    row = make()
    assert ask(admin, row, body).status == 202
    (operation,) = operations(row.id)
    assert operation.action == "migrate_instance"
    assert operation.arguments == {"host": host, "flavor": TINY, "epoch": 0}
    assert hints == [operation.id]
    stored = Instance.get(row.id)
    assert (stored.status, stored.held) == (Status.RESIZE, row.held)


@pytest.mark.parametrize(
    "body", [{"host": ""}, {"host": 7}, {"host": "x" * 256}, {"hosts": "a"}, "a", [], {"host": {}}]
)
def test_what_is_no_host_changes_nothing(
    admin: Api, make: Make, hints: list[str], body: Any
) -> None:
    row = make()
    assert ask(admin, row, body).status == 400
    assert (operations(row.id), hints, Instance.get(row.id).status) == ([], [], Status.ACTIVE)


@pytest.mark.parametrize("status", [each for each in Status if each is not Status.ACTIVE])
def test_only_an_active_instance_is_migrated(admin: Api, make: Make, status: Status) -> None:
    assert ask(admin, make(status)).status == (404 if status is Status.DELETED else 422)


def test_a_guest_that_is_not_heard_is_not_migrated(admin: Api, make: Make) -> None:
    row = make()
    last = ServiceStatusRow.updated.set(aws.clock() - settings().heartbeat_expiry_seconds)
    ServiceStatusRow(row.id).update(actions=[last])
    assert ask(admin, row).status == 422


def test_it_is_an_administrators(api: Api, make: Make) -> None:
    row = make()
    assert ask(api, row).status == 401
    assert api.post(f"/instances/{row.id}/action", {"migrate": {}}).status == 400
    assert operations(row.id) == []


def test_a_dry_run_shows_its_steps_and_does_nothing(
    admin: Api, make: Make, hints: list[str]
) -> None:
    row = make()
    answer = ask(admin, row, {"host": "a"}, "?dry_run=true")
    plan = answer.body["dry_run"]
    assert answer.status == 200
    assert (plan["would_be_accepted"], plan["quota"]) == (True, [])
    assert [each["name"] for each in plan["steps"]][:3] == ["look", "stop_database", "migrate"]
    assert (operations(row.id), hints) == ([], [])
