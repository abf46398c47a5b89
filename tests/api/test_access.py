"""PUT instances/{id} with an access: an operation of its own, one at a time."""

from __future__ import annotations

from typing import Any

import pytest

from chalicelib.lifecycle import Status
from chalicelib.store import accepting
from chalicelib.store.models import EventRow, Instance, Operation
from tests.api.client import Answer, Api
from tests.api.conftest import Make

BEFORE = {"is_public": False, "allowed_cidrs": ["10.0.0.0/8"]}


def change(api: Api, row: Instance, access: Any, method: str = "PUT") -> Answer:
    return api.ask(method, f"/instances/{row.id}", {"instance": {"access": access}})


def live(row: Instance) -> Operation:
    return Operation.get(Instance.get(row.id).operation_id)


@pytest.mark.parametrize("method", ["PUT", "PATCH"])
@pytest.mark.parametrize(
    ("asked", "wanted"),
    [
        ({"is_public": True}, {**BEFORE, "is_public": True}),
        ({"allowed_cidrs": ["192.0.2.0/24"]}, {**BEFORE, "allowed_cidrs": ["192.0.2.0/24"]}),
        ({"allowed_cidrs": []}, {**BEFORE, "allowed_cidrs": []}),
        ({"allowed_cidrs": ["192.0.2.7"]}, {**BEFORE, "allowed_cidrs": ["192.0.2.7"]}),
        ({"is_public": None, "allowed_cidrs": None}, BEFORE),
        ({}, BEFORE),
    ],
)
def test_what_is_not_named_stays_as_it_is(
    api: Api, make: Make, hints: list[str], method: str, asked: Any, wanted: Any
) -> None:
    row = make(access=BEFORE)
    answer = change(api, row, asked, method)
    assert (answer.status, answer.body) == (202, None)
    operation = live(row)
    assert (operation.action, operation.status) == ("update_access", "ACCEPTED")
    assert operation.arguments == wanted
    assert hints == [operation.id]
    assert [event.kind for event in EventRow.query(row.id)] == ["update_access.accepted"]
    shown = api.get(f"/instances/{row.id}").body["instance"]
    assert (shown["status"], shown["access"]) == ("ACTIVE", BEFORE)


def test_the_same_change_may_be_asked_for_again_and_another_has_to_wait(
    api: Api, make: Make, hints: list[str]
) -> None:
    row = make(access=BEFORE)
    assert change(api, row, {"is_public": True}).status == 202
    first = live(row).id
    assert change(api, row, {"is_public": True}).status == 202
    assert (live(row).id, hints) == (first, [first])
    answer = change(api, row, {"is_public": False})
    assert answer.status == 422
    assert "update_access is under way" in answer.fault()


@pytest.mark.parametrize("status", [Status.BUILD, Status.ERROR, Status.SHUTDOWN])
def test_only_an_active_instance_changes_its_access(api: Api, make: Make, status: str) -> None:
    row = make(status=status)
    answer = api.ask(
        "PUT", f"/instances/{row.id}", {"instance": {"name": "new", "access": {"is_public": True}}}
    )
    assert answer.status == 422
    assert Instance.get(row.id).name == "shop"


@pytest.mark.parametrize(
    "access",
    [
        {"is_public": "yes"},
        {"allowed_cidrs": "10.0.0.0/8"},
        {"allowed_cidrs": ["10.0.0"]},
        {"allowed_cidrs": ["10.0.0.0/255.0.0.0"]},
        {"allowed_cidrs": ["2001:db8::/129"]},
        {"allowed_cidrs": ["fe80::1%eth0"]},
        {"allowed_cidrs": ["2001:db8::/ffff::"]},
        {"allowed_cidrs": ["10.0.0.0/8"] * 33},
        {"public": True},
        [],
    ],
)
def test_what_is_no_access_is_400(api: Api, make: Make, access: Any) -> None:
    row = make(access=BEFORE)
    assert change(api, row, access).status == 400
    assert Instance.get(row.id).operation_id is None


def test_a_delete_is_queued_behind_a_change(api: Api, make: Make) -> None:
    row = make(access=BEFORE)
    change(api, row, {"is_public": True})
    assert api.ask("DELETE", f"/instances/{row.id}").status == 202
    stored = Instance.get(row.id)
    assert (stored.status, stored.operation_id) == (Status.SHUTDOWN, live(row).id)
    assert Operation.get(stored.next_operation_id).status == "QUEUED"
    assert change(api, row, {"is_public": True}).status == 422


def test_a_change_that_meets_a_faster_delete_is_refused(
    api: Api, make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    row = make(access=BEFORE)
    accept = accepting.accept

    def slow(instance: Instance, operation: Operation, **more: Any) -> bool:
        monkeypatch.setattr(accepting, "accept", accept)  # the delete's own is not slow
        assert api.ask("DELETE", f"/instances/{row.id}").status == 202
        return accept(instance, operation, **more)

    monkeypatch.setattr(accepting, "accept", slow)
    assert change(api, row, {"is_public": True}).status == 422
    assert live(row).action == "delete_instance"


def test_a_change_keeps_what_another_one_has_changed_since_the_row_was_read(
    api: Api, make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    row = make(access=BEFORE)
    accept = accepting.accept

    def late(instance: Instance, operation: Operation, **more: Any) -> bool:
        monkeypatch.setattr(accepting, "accept", accept)
        Instance(row.id).update(actions=[Instance.access.set({**BEFORE, "is_public": True})])
        return accept(instance, operation, **more)

    monkeypatch.setattr(accepting, "accept", late)
    assert change(api, row, {"allowed_cidrs": ["192.0.2.0/24"]}).status == 202
    assert live(row).arguments == {"is_public": True, "allowed_cidrs": ["192.0.2.0/24"]}
