"""What is noted on an instance, and the protection against its deletion."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from chalicelib.lifecycle import Status
from chalicelib.store import accepting, instances
from chalicelib.store.models import Instance, Operation
from tests.api.client import Api
from tests.api.conftest import Make, operations
from tests.api.test_idempotency import BODY

NOTED = {"description": "the shop's orders", "tags": ["shop", "eu"], "deletion_protection": True}


def shown(api: Api, row: Instance) -> dict[str, Any]:
    found = api.get(f"/instances/{row.id}").body["instance"]
    return {name: found[name] for name in NOTED}


def change(api: Api, row: Instance, **changes: Any) -> Any:
    return api.put(f"/instances/{row.id}", {"instance": changes})


def test_a_create_notes_what_it_is_told(api: Api) -> None:
    made = api.post("/instances", {"instance": {**BODY["instance"], **NOTED}}).body["instance"]
    wanted = {**NOTED, "tags": ["eu", "shop"]}
    assert {name: made[name] for name in NOTED} == wanted
    (listed,) = api.get("/instances").body["instances"]
    assert {name: listed[name] for name in NOTED} == wanted


def test_without_notes_there_are_none(api: Api, make: Make) -> None:
    assert shown(api, make()) == {"description": None, "tags": [], "deletion_protection": False}


@pytest.mark.parametrize("method", ["PUT", "PATCH"])
def test_notes_are_changed_one_by_one_and_taken_away(api: Api, make: Make, method: str) -> None:
    row = make()
    path = f"/instances/{row.id}"
    assert api.ask(method, path, {"instance": NOTED}).status == 202
    assert api.ask(method, path, {"instance": {"tags": ["eu"]}}).status == 202
    assert shown(api, row) == {**NOTED, "tags": ["eu"]}
    gone = {"description": "", "tags": [], "deletion_protection": False}
    assert api.ask(method, path, {"instance": gone}).status == 202
    assert shown(api, row) == {"description": None, "tags": [], "deletion_protection": False}


def test_each_change_is_an_event(api: Api, make: Make) -> None:
    row = make()
    for changes in ({"name": "b", "tags": ["x"]}, {"description": "c"}, NOTED):
        change(api, row, **changes)
    change(api, row, deletion_protection=False)
    told = api.get(f"/instances/{row.id}/events").body["events"]
    assert [each["kind"] for each in reversed(told)] == [
        "renamed",
        "edited",
        "protected",
        "edited",
        "unprotected",
    ]
    assert told[-1]["message"] == "The name was 'shop' and is 'b'. Its tags changed."


@pytest.mark.parametrize(
    "wrong",
    [
        {"tags": ["a"] * 2},
        {"tags": [""]},
        {"tags": ["x" * 61]},
        {"tags": ["a,b"]},
        {"tags": ["a/b"]},
        {"tags": [" a"]},
        {"tags": ["a\n"]},
        {"tags": [f"t{number}" for number in range(51)]},
        {"tags": "shop"},
        {"tags": [1]},
        {"description": "x" * 256},
        {"description": "a\nb"},
        {"description": 7},
        {"deletion_protection": "yes"},
    ],
    ids=str,
)
def test_what_cannot_be_noted_is_400(api: Api, make: Make, wrong: dict[str, Any]) -> None:
    row = make()
    assert change(api, row, **wrong).status == 400
    assert api.post("/instances", {"instance": {**BODY["instance"], **wrong}}).status == 400
    assert shown(api, row) == {"description": None, "tags": [], "deletion_protection": False}


Ask = Callable[[Api, Instance], Any]
DELETES: list[Ask] = [
    lambda api, row: api.delete(f"/instances/{row.id}"),
    lambda api, row: api.post(f"/instances/{row.id}/action", {"force_delete": {}}),
]


@pytest.mark.parametrize("status", [Status.ACTIVE, Status.ERROR, Status.STOPPED])
@pytest.mark.parametrize("delete", DELETES, ids=["delete", "force"])
@pytest.mark.parametrize("roles", ["member", "admin"])
def test_what_is_protected_is_not_deleted(
    api: Api, admin: Api, make: Make, status: Status, delete: Ask, roles: str
) -> None:
    row = make(status, protected=True)
    answer = delete(admin if roles == "admin" else api, row)
    assert answer.status == 409
    assert "'deletion_protection' to false" in answer.fault()
    assert operations(row.id) == []
    row.refresh()
    assert row.status == status
    change(api, row, deletion_protection=False)
    assert delete(api, row).status == 202


def test_an_administrator_may_delete_it_all_the_same_and_has_to_say_so(
    api: Api, admin: Api, make: Make
) -> None:
    row = make(protected=True)
    body = {"force_delete": {"ignore_protection": True}}
    assert api.post(f"/instances/{row.id}/action", body).status == 403
    assert operations(row.id) == []
    assert admin.post(f"/instances/{row.id}/action", body).status == 202
    assert len(operations(row.id)) == 1


def test_a_protection_that_comes_between_look_and_delete_wins(
    api: Api, make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    row = make()
    real = accepting.accept

    def accept(seen: Instance, operation: Operation, **chosen: Any) -> bool:
        monkeypatch.setattr(accepting, "accept", real)
        assert change(api, row, deletion_protection=True).status == 202
        return real(seen, operation, **chosen)

    monkeypatch.setattr(accepting, "accept", accept)
    assert api.delete(f"/instances/{row.id}").status == 409
    assert operations(row.id) == []


def test_a_delete_that_comes_between_look_and_protection_wins(
    api: Api, make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    row = make()
    real, done = instances.get_instance, list[int]()

    def get(instance_id: str, tenant_id: str | None = None) -> Instance:
        found = real(instance_id, tenant_id)
        if len(done) == 1:  # the look of the update itself was the first
            done.append(2)
            assert api.delete(f"/instances/{row.id}").status == 202
        elif not done:
            done.append(1)
        return found

    monkeypatch.setattr("chalicelib.api.guest_calls.get_instance", get)
    answer = change(api, row, deletion_protection=True)
    assert answer.status == 409
    assert "is being deleted" in answer.fault()


def test_a_reset_does_not_hide_a_delete_from_the_protection(
    api: Api, admin: Api, make: Make
) -> None:
    row = make()
    api.delete(f"/instances/{row.id}")
    admin.post(f"/instances/{row.id}/action", {"reset_status": {}})
    assert change(api, row, deletion_protection=True).status == 409


def test_a_name_is_changed_of_what_is_protected(api: Api, make: Make) -> None:
    row = make(protected=True)
    assert change(api, row, name="b").status == 202
    assert api.get(f"/instances/{row.id}").body["instance"]["name"] == "b"
