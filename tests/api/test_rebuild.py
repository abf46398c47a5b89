"""The action `rebuild`: whose it is, where it is accepted, and what it needs."""

from __future__ import annotations

from typing import Any

import pytest

from chalicelib.conductor import generations
from chalicelib.lifecycle import Status
from chalicelib.store import accepting
from chalicelib.store.events import Asked
from chalicelib.store.generations import MOST_GENERATIONS
from chalicelib.store.models import Instance
from tests.api.client import Api
from tests.api.conftest import Make, operations

OWNED = {"server_id": "server-1", "volume_id": "volume-1"}


def ask(api: Api, row: Instance, body: Any = None) -> int:
    body = {"image_id": "image-2"} if body is None else body
    return api.post(f"/mgmt/instances/{row.id}/action", {"rebuild": body}).status


def test_a_rebuild_begins_with_the_guest_that_is_there(
    admin: Api, make: Make, hints: list[str]
) -> None:
    row = make(resources=OWNED, generation=4)
    assert ask(admin, row) == 202
    (operation,) = operations(row.id)
    assert (operation.action, operation.generation) == ("rebuild_instance", 4)
    assert operation.arguments == {"image_id": "image-2", "was": "ACTIVE"}
    assert hints == [operation.id]
    now = Instance.get(row.id)
    assert (now.status, now.generation) == (Status.REBUILD, 4)


@pytest.mark.parametrize("status", [each for each in Status if each is not Status.DELETED])
def test_it_is_accepted_where_there_is_something_to_go_on_with(
    admin: Api, make: Make, status: Status
) -> None:
    allowed = status in (Status.ACTIVE, Status.STOPPED, Status.ERROR)
    row = make(status, resources=OWNED)
    assert ask(admin, row) == (202 if allowed else 422)
    asked = ["rebuild_stopped_instance" if status is Status.STOPPED else "rebuild_instance"]
    assert [each.action for each in operations(row.id)] == (asked if allowed else [])


def test_what_owns_nothing_is_not_rebuilt(admin: Api, make: Make) -> None:
    assert ask(admin, make(Status.ERROR)) == 422
    assert ask(admin, make(Status.ERROR, resources={"server_id": "server-1"})) == 422


def test_an_instance_has_a_bounded_number_of_guests(admin: Api, make: Make) -> None:
    assert ask(admin, make(resources=OWNED, generation=MOST_GENERATIONS)) == 422


@pytest.mark.parametrize("body", [{}, {"image_id": None}, {"image_id": ""}, {"image": "image-2"}])
def test_it_names_an_image(admin: Api, make: Make, body: Any) -> None:
    assert ask(admin, make(resources=OWNED), body) == 400


def test_only_administrators_ask(api: Api, make: Make) -> None:
    row = make(resources=OWNED)
    assert ask(api, row) == 401
    assert operations(row.id) == []


def test_a_rebuild_begins_with_an_expulsion_that_came_meanwhile(
    admin: Api, make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    row = make(Status.ERROR, resources=OWNED)
    real = accepting.accept

    def late(*args: Any, **kwargs: Any) -> bool:
        monkeypatch.setattr(accepting, "accept", real)
        generations.expel(row.id, Asked())
        return real(*args, **kwargs)

    monkeypatch.setattr(accepting, "accept", late)
    assert ask(admin, row) == 202
    (operation,) = operations(row.id)
    assert operation.generation == 2
