"""The actions that switch a server off and on: who may ask and where, and the operators' route."""

from __future__ import annotations

from typing import Any

import pytest

from chalicelib import aws
from chalicelib.lifecycle import Status
from chalicelib.store.models import Instance, ServiceStatusRow
from tests.api.client import Api
from tests.api.conftest import Make, operations


def act(api: Api, row: Instance, name: str, arguments: Any = None) -> int:
    return api.post(f"/instances/{row.id}/action", {name: arguments}).status


def operate(api: Api, row: Instance, name: str, arguments: Any = None) -> int:
    return api.post(f"/mgmt/instances/{row.id}/action", {name: arguments}).status


@pytest.mark.parametrize(
    ("name", "before", "during", "action"),
    [
        ("stop", Status.ACTIVE, Status.STOPPING, "stop_instance"),
        ("start", Status.STOPPED, Status.STARTING, "start_instance"),
        ("start", Status.ERROR, Status.STARTING, "start_instance"),
    ],
)
def test_a_stop_and_a_start_are_operations(
    api: Api, make: Make, hints: list[str], name: str, before: Status, during: Status, action: str
) -> None:
    row = make(before, resources={"server_id": "server-1"})
    assert act(api, row, name) == 202
    (operation,) = operations(row.id)
    assert (operation.action, hints) == (action, [operation.id])
    assert Instance.get(row.id).status == during
    assert act(api, row, name) == 422
    assert len(operations(row.id)) == 1


@pytest.mark.parametrize("status", [each for each in Status if each is not Status.DELETED])
def test_each_is_refused_where_it_makes_no_sense(api: Api, make: Make, status: Status) -> None:
    owned = {"server_id": "server-1"}
    startable = status in (Status.STOPPED, Status.ERROR)
    assert act(api, make(status), "stop") == (202 if status is Status.ACTIVE else 422)
    assert act(api, make(status, resources=owned), "start") == (202 if startable else 422)


@pytest.mark.parametrize(
    "body", [{"stop": {}}, {"restart": {}}, {"resize": {"volume": {"size": 9}}}]
)
def test_what_is_stopped_says_so_however_long_its_guest_is_silent(
    api: Api, make: Make, body: Any
) -> None:
    row = make(Status.STOPPED)
    long_ago = ServiceStatusRow.updated.set(aws.clock() - 86400)
    ServiceStatusRow(row.id).update(actions=[long_ago])
    answer = api.post(f"/instances/{row.id}/action", body)
    assert (answer.status, "instance status was STOPPED" in answer.fault()) == (422, True)


def test_what_owns_no_server_is_not_started(api: Api, make: Make) -> None:
    """A create that failed, or a delete: its fault says what to do."""
    row = make(Status.ERROR)
    answer = api.post(f"/instances/{row.id}/action", {"start": {}})
    assert (answer.status, "delete it" in answer.fault()) == (422, True)
    assert operations(row.id) == []


def test_a_reset_leaves_what_is_stopped_as_it_is(admin: Api, make: Make) -> None:
    row = make(Status.STOPPED, resources={"server_id": "server-1"})
    assert act(admin, row, "reset_status", {}) == 202
    assert Instance.get(row.id).status == Status.STOPPED


def test_what_a_stopped_instance_cannot_do_says_so(api: Api, make: Make) -> None:
    row = make(Status.STOPPED)
    answer = api.get(f"/instances/{row.id}/databases")
    assert (answer.status, "STOPPED" in answer.fault()) == (422, True)
    shown = api.get(f"/instances/{row.id}").body["instance"]
    assert (shown["status"], shown["operating_status"]) == ("STOPPED", "")
    assert api.delete(f"/instances/{row.id}").status == 202


def test_an_operator_reboots_and_resets_on_troves_route(
    api: Api, admin: Api, make: Make, hints: list[str]
) -> None:
    row = make()
    assert operate(api, row, "reboot") == 401
    assert operate(admin, row, "reboot", {}) == 202
    (operation,) = operations(row.id)
    assert operation.action == "reboot_instance"
    assert Instance.get(row.id).status == Status.REBOOT
    assert operate(admin, row, "reset-task-status") == 202
    operation.refresh()
    assert operation.cancelled == "The status was reset by an administrator."


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({"dance": {}}, 400),
        ({"restart": {}}, 400),
        ({"reboot": {"hard": True}}, 400),
        ({"reboot": {}, "stop": {}}, 400),
        ({}, 400),
    ],
)
def test_other_orders_of_an_operator_are_refused(
    admin: Api, make: Make, body: Any, status: int
) -> None:
    row = make()
    assert admin.post(f"/mgmt/instances/{row.id}/action", body).status == status
    assert operations(row.id) == []


def test_what_is_not_there_cannot_be_rebooted(admin: Api) -> None:
    assert admin.post("/mgmt/instances/nothing/action", {"reboot": {}}).status == 404
