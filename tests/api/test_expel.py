"""`expel` through the API: whose right it is, and what an instance without a guest allows."""

from __future__ import annotations

from typing import Any

import pytest

from chalicelib.lifecycle import Status
from chalicelib.store import accepting, instances, replies
from chalicelib.store.models import Instance
from tests.api.client import Api
from tests.api.conftest import Make


def test_an_administrator_expels_a_guest(admin: Api, make: Make) -> None:
    row = make(resources={"server_id": "server-1"})
    answer = admin.post(f"/mgmt/instances/{row.id}/action", {"expel": {}})
    assert answer.status == 202, answer.body
    shown = admin.get(f"/mgmt/instances/{row.id}").body["instance"]
    assert shown["status"] == Status.ERROR
    assert "rebuild" in shown["fault"]["message"]
    assert shown["guest_status"]["generation"] == 2


def test_an_expulsion_that_is_asked_again_leaves_the_next_guest_alone(
    admin: Api, make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its answer is kept by the transaction that expels: there is no death between the two."""

    def died(_: replies.Keeping) -> None:
        raise AssertionError("the answer would be kept apart")

    monkeypatch.setattr(replies.Keeping, "put_alone", died)
    row, key = make(resources={"server_id": "server-1"}), {"Idempotency-Key": "once"}
    path = f"/mgmt/instances/{row.id}/action"
    assert admin.post(path, {"expel": {}}, headers=key).status == 202
    Instance(row.id).update([Instance.generation.set(3), Instance.status.set(Status.ACTIVE)])
    answer = admin.post(path, {"expel": {}}, headers=key)
    assert (answer.status, answer.headers.get("Idempotent-Replayed")) == (202, "true")
    assert instances.get_instance(row.id).generation == 3


def test_nobody_else_does(api: Api, make: Make) -> None:
    row = make()
    assert api.post(f"/mgmt/instances/{row.id}/action", {"expel": {}}).status == 401
    assert api.post(f"/instances/{row.id}/action", {"expel": {}}).status == 400
    assert instances.get_instance(row.id).generation == 1


def test_a_stranger_is_expelled_from_nothing(admin: Api) -> None:
    assert admin.post("/mgmt/instances/unknown/action", {"expel": {}}).status == 404


def test_an_instance_without_a_guest_is_not_started(api: Api, admin: Api, make: Make) -> None:
    row = make(resources={"server_id": "server-1"})
    admin.post(f"/mgmt/instances/{row.id}/action", {"expel": {}})
    answer = api.post(f"/instances/{row.id}/action", {"start": {}})
    assert answer.status == 422
    assert "rebuild" in answer.body["unprocessableEntity"]["message"]


def test_a_guest_that_is_expelled_meanwhile_starts_nothing(
    api: Api, admin: Api, make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    row = make(Status.ERROR, resources={"server_id": "server-1"})
    real = accepting.accept

    def late(*args: Any, **kwargs: Any) -> bool:
        monkeypatch.setattr(accepting, "accept", real)
        admin.post(f"/mgmt/instances/{row.id}/action", {"expel": {}})
        return real(*args, **kwargs)

    monkeypatch.setattr(accepting, "accept", late)
    assert api.post(f"/instances/{row.id}/action", {"start": {}}).status == 422
    assert instances.get_instance(row.id).operation_id is None
