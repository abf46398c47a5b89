"""Configuration groups over the API: their rules, whose they are, and which instances have them."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from chalicelib import aws
from chalicelib.api import attaching, awaiting
from chalicelib.domain.operations import OperationStatus
from chalicelib.settings import settings
from chalicelib.store import attachments, configurations
from chalicelib.store.ending import Ending, end_operation
from chalicelib.store.instances import get_instance
from chalicelib.store.models import Configuration, Instance
from chalicelib.store.operations import get_operation
from tests.api.client import Answer, Api
from tests.api.conftest import Make, operations

VALUES = {"max_connections": 40, "innodb_strict_mode": False}


@pytest.fixture(autouse=True)
def nobody_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing ends here but by a test's hand; `test_awaiting` has how an end is waited for."""
    monkeypatch.setattr(awaiting, "last_look", lambda _: aws.clock())


def new(api: Api, **more: Any) -> Answer:
    return api.post("/configurations", {"configuration": {"name": "g", "values": VALUES, **more}})


def group(api: Api, **more: Any) -> str:
    answer = new(api, **more)
    assert answer.status == 200, answer.body
    return str(answer.body["configuration"]["id"])


def attach(api: Api, row: Instance, configuration: str | None) -> Answer:
    return api.put(f"/instances/{row.id}", {"instance": {"configuration": configuration}})


def end(row: Instance, status: str = "SUCCEEDED", **told: Any) -> None:
    """Let the instance's operation end, with what its guest has told."""
    operation = get_operation(str(get_instance(row.id).operation_id))
    assert operation is not None
    for name, value in told.items():
        operation.update(actions=[type(operation).resources[name].set(value)])
    end_operation(operation, Ending(OperationStatus(status), "No." if status == "FAILED" else ""))


def attached(api: Api, make: Make) -> tuple[Instance, str]:
    """An instance whose guest holds a group."""
    row, made = make(), group(api)
    assert attach(api, row, made).status == 202
    end(row, holding=f"{made}/1")
    return row, made


def test_a_group_is_shown_as_trove_shows_it(api: Api) -> None:
    made = new(api, description="for fridays").body["configuration"]
    shown = api.get(f"/configurations/{made['id']}").body["configuration"]
    assert shown == made
    assert {
        "name": "g",
        "description": "for fridays",
        "values": VALUES,
        "instance_count": 0,
        "datastore_name": "mariadb",
        "datastore_version_id": "v-1011",
        "datastore_version_name": "10.11",
        "datastore_version_number": "10.11.6",
    }.items() <= shown.items()


def test_groups_are_listed_by_page_and_are_each_tenants_own(api: Api, other: Api) -> None:
    made = sorted(group(api) for _ in range(3))
    first = api.get("/configurations?limit=2").body
    assert [each["id"] for each in first["configurations"]] == made[:2]
    assert "links" in first
    rest = api.get(f"/configurations?limit=2&marker={made[1]}").body
    assert ([each["id"] for each in rest["configurations"]], "links" in rest) == (made[2:], False)
    assert other.get("/configurations").body == {"configurations": []}
    path = f"/configurations/{made[0]}"
    body = {"configuration": {"values": VALUES}}
    for answer in (
        *(other.get(path), other.get(f"{path}/instances"), other.put(path, body)),
        *(other.patch(path, body), other.delete(path)),
    ):
        assert answer.fault() == f"Configuration group with ID {made[0]} could not be found."
        assert answer.status == 404


@pytest.mark.parametrize(
    ("values", "status", "said"),
    [
        ({}, 400, "configuration['values'] is empty"),
        ({"none_such": 1}, 422, "none_such is not supported for this datastore"),
        ({"max_connections": "many"}, 422, "max_connections is not of type integer"),
        ({"max_connections": 0}, 422, "less than the minimum allowed: 10"),
        ({"max_connections": 10**9}, 422, "greater than the maximum allowed"),
        ({"datadir": "/tmp"}, 422, "datadir is not supported"),
        ({"init_connect": "x\n[mysqld]\nport=1"}, 422, "control character"),
        ({"none_such" * 10_000: 1}, 413, "larger than"),
    ],
)
def test_what_the_rules_refuse_is_refused(
    api: Api, values: dict[str, Any], status: int, said: str
) -> None:
    answer = new(api, values=values)
    assert (answer.status, said in str(answer.body)) == (status, True), answer.body
    changed = api.put(f"/configurations/{group(api)}", {"configuration": {"values": values}})
    assert (changed.status, said in str(changed.body)) == (status, True), changed.body


def test_a_put_replaces_and_a_patch_merges(api: Api) -> None:
    path = f"/configurations/{group(api)}"
    merged = api.patch(path, {"configuration": {"values": {"wait_timeout": 60}}})
    assert (merged.status, merged.body) == (200, None)
    assert api.get(path).body["configuration"]["values"] == {**VALUES, "wait_timeout": 60}
    body = {"configuration": {"name": "other", "values": {"wait_timeout": 70}}}
    assert api.put(path, body).status == 202
    shown = api.get(path).body["configuration"]
    assert (shown["name"], shown["values"]) == ("other", {"wait_timeout": 70})
    assert api.put(path, {"configuration": {"name": "third"}}).status == 202
    assert api.get(path).body["configuration"]["values"] == {"wait_timeout": 70}
    assert api.put(path, {"configuration": {}}).status == 400


def test_a_deleted_group_is_gone(api: Api) -> None:
    path = f"/configurations/{group(api)}"
    assert api.delete(path).status == 202
    assert (api.get(path).status, api.delete(path).status) == (404, 404)
    assert api.get("/configurations").body == {"configurations": []}


def test_a_project_has_so_many_groups(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    most = msgspec.structs.replace(settings(), configurations_per_tenant=2)
    monkeypatch.setattr("chalicelib.api.configurations.settings", lambda: most)
    group(api)
    gone = group(api)
    assert new(api).status == 413
    api.delete(f"/configurations/{gone}")
    group(api)


def test_the_same_create_is_done_once(api: Api) -> None:
    headers = {"Idempotency-Key": "once"}
    body = {"configuration": {"name": "g", "values": VALUES}}
    first = api.post("/configurations", body, headers=headers)
    assert api.post("/configurations", body, headers=headers).body == first.body
    assert len(api.get("/configurations").body["configurations"]) == 1


def test_the_parameters_of_a_version_are_told(api: Api) -> None:
    for version in ("mariadb/versions/10.11", "versions/v-1011"):
        path = f"/datastores/{version}/parameters"
        listed = api.get(path).body["configuration-parameters"]
        one = api.get(f"{path}/max_connections").body
        assert one in listed
        assert {
            "name": "max_connections",
            "datastore_version_id": "v-1011",
            "restart_required": False,
            "type": "integer",
            "min": 10,
        }.items() <= one.items()
        assert api.get(f"{path}/datadir").status == 404


def test_an_instances_defaults_are_those_of_its_flavor(api: Api, make: Make) -> None:
    small, large = make(), make(flavor_ram=4096)
    found = [
        api.get(f"/instances/{row.id}/configuration").body["instance"]["configuration"]
        for row in (small, large)
    ]
    assert found[0]["innodb_buffer_pool_size"] < found[1]["innodb_buffer_pool_size"]
    assert found[0].keys() == found[1].keys()


def test_a_group_is_attached_by_an_operation(api: Api, make: Make, hints: list[str]) -> None:
    row, made = make(), group(api)
    assert attach(api, row, made).status == 202
    (operation,) = operations(row.id)
    assert (hints, operation.action) == ([operation.id], "configure_instance")
    assert attach(api, row, made).status == 202  # the same again
    assert len(operations(row.id)) == 1
    end(row, holding=f"{made}/1", restart_required=True)
    shown = api.get(f"/instances/{row.id}").body["instance"]
    assert shown["status"] == "RESTART_REQUIRED"
    assert (shown["configuration"]["id"], shown["configuration"]["name"]) == (made, "g")
    (listed,) = api.get("/instances/detail").body["instances"]
    assert listed["configuration"] == shown["configuration"]
    assert len(api.get("/instances?status=RESTART_REQUIRED").body["instances"]) == 1
    (of_it,) = api.get(f"/configurations/{made}/instances").body["instances"]
    assert of_it == {"id": row.id, "name": "shop", "up_to_date": True}
    assert api.get(f"/configurations/{made}").body["configuration"]["instance_count"] == 1


def test_what_waits_for_a_restart_is_used_as_ever_and_restarted(api: Api, make: Make) -> None:
    row, made = make(), group(api)
    attach(api, row, made)
    end(row, holding=f"{made}/1", restart_required=True)
    answer = api.post(f"/instances/{row.id}/action", {"restart": {}})
    assert answer.status == 202
    end(row)
    assert api.get(f"/instances/{row.id}").body["instance"]["status"] == "ACTIVE"


def test_an_attach_is_refused_as_trove_refuses_it(api: Api, make: Make, other: Api) -> None:
    row, made = attached(api, make)
    again = attach(api, row, group(api))
    assert (again.status, again.fault()) == (
        400,
        f"Instance {row.id} already has a Configuration Group attached: {made}.",
    )
    assert attach(api, make(datastore_version_id="v-off"), made).status == 400
    assert "currently: STOPPED" in attach(api, make(status="STOPPED"), made).fault()
    assert attach(api, make(), group(other)).status == 404
    assert attach(api, make(service=None), made).status == 202


def test_null_detaches_and_so_does_a_put_of_nothing(api: Api, make: Make) -> None:
    for body in ({"configuration": None}, {}):
        row, made = attached(api, make)
        assert api.patch(f"/instances/{row.id}", {"instance": {"name": "x"}}).status == 202
        assert get_instance(row.id).configuration_id == made
        assert api.put(f"/instances/{row.id}", {"instance": body}).status == 202
        assert api.put(f"/instances/{row.id}", {"instance": body}).status == 202  # the same again
        assert len(operations(row.id)) == 2
        end(row, holding="")
        known = get_instance(row.id)
        assert (known.configuration_id, known.configuration_held) == (None, None)
        assert api.put(f"/instances/{row.id}", {"instance": body}).status == 202  # nothing to do
        assert api.get(f"/configurations/{made}/instances").body == {"instances": []}


def test_a_group_in_use_is_not_deleted(api: Api, make: Make) -> None:
    row, made = attached(api, make)
    assert api.delete(f"/configurations/{made}").status == 400
    attach(api, row, None)
    assert api.delete(f"/configurations/{made}").status == 202


def test_a_group_is_not_deleted_below_an_instance_that_gets_it(
    api: Api, make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The attachment comes between the look at them and the delete."""
    row, made, look = make(), group(api), attachments.any_of

    def looked(configuration_id: str) -> bool:
        found = look(configuration_id)
        monkeypatch.setattr(attachments, "any_of", look)
        assert attach(api, row, made).status == 202
        return found

    monkeypatch.setattr(attachments, "any_of", looked)
    assert api.delete(f"/configurations/{made}").status == 400
    assert api.get(f"/configurations/{made}").status == 200


def test_a_group_that_was_deleted_meanwhile_is_not_attached(
    api: Api, make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    row, made, look = make(), group(api), attaching._require_fitting

    def looked(*args: Any) -> None:
        look(*args)
        monkeypatch.setattr(attaching, "_require_fitting", look)
        assert api.delete(f"/configurations/{made}").status == 202

    monkeypatch.setattr(attaching, "_require_fitting", looked)
    assert attach(api, row, made).status == 404
    assert (get_instance(row.id).configuration_id, operations(row.id)) == (None, [])


def test_an_instance_is_created_with_a_group(api: Api, other: Api) -> None:
    made = group(api)
    body = {"name": "x", "flavorRef": "1", "volume": {"size": 1}, "configuration": made}
    answer = api.post("/instances", {"instance": body})
    assert answer.status == 200
    assert [
        each["id"] for each in api.get(f"/configurations/{made}/instances").body["instances"]
    ] == [answer.body["instance"]["id"]]
    assert api.delete(f"/configurations/{made}").status == 400
    body["configuration"] = group(other)
    assert api.post("/instances", {"instance": body}).status == 404


def test_a_change_of_a_group_in_use_is_an_operation_of_the_group(
    api: Api, make: Make, hints: list[str]
) -> None:
    _, made = attached(api, make)
    path = f"/configurations/{made}"
    hints.clear()
    assert api.patch(path, {"configuration": {"values": {"wait_timeout": 60}}}).status == 200
    (operation,) = operations(made)
    assert (operation.action, hints) == ("apply_configuration", [operation.id])
    assert api.get(path).body["configuration"]["status"] == "APPLYING"
    assert api.patch(path, {"configuration": {"values": {"wait_timeout": 70}}}).status == 200
    assert len(operations(made)) == 1  # it takes the newer values up
    row = configurations.get_configuration(made)
    assert (row.revision, row.applied, row.wanted["wait_timeout"]) == (3, 1, 70)
    (of_it,) = api.get(f"{path}/instances").body["instances"]
    assert of_it["up_to_date"] is False
    assert api.delete(path).status == 400


def test_a_change_waits_for_the_end_of_one_that_is_confirmed(api: Api, make: Make) -> None:
    _, made = attached(api, make)
    path, body = f"/configurations/{made}", {"configuration": {"values": {"wait_timeout": 60}}}
    api.patch(path, body)
    (operation,) = operations(made)
    assert configurations.confirm(Configuration(made), operation, 2)
    assert not configurations.confirm(Configuration(made), operation, 1)
    assert api.patch(path, body).status == 503
    end_operation(operation, Ending(OperationStatus.SUCCEEDED))
    assert api.patch(path, body).status == 200
    assert len(operations(made)) == 2


def test_a_change_is_planned(api: Api, make: Make) -> None:
    row, made = attached(api, make)
    path = f"/configurations/{made}?dry_run=true"
    planned = api.put(path, {"configuration": {"values": {"wait_timeout": 60}}}).body["dry_run"]
    assert (planned["action"], planned["would_be_accepted"]) == ("apply_configuration", True)
    body = {"instance": {"configuration": None}}
    planned = api.put(f"/instances/{row.id}?dry_run=true", body).body["dry_run"]
    assert (planned["action"], planned["would_be_accepted"]) == ("configure_instance", True)
    assert (operations(made), len(operations(row.id))) == ([], 1)
    assert configurations.get_configuration(made).wanted == VALUES


def test_what_is_deleted_leaves_its_group(api: Api, make: Make) -> None:
    row, made = attached(api, make)
    assert api.delete(f"/instances/{row.id}").status == 202
    assert api.delete(f"/configurations/{made}").status == 400
    end(row)
    assert attachments.count(made) == 0
    assert api.delete(f"/configurations/{made}").status == 202
