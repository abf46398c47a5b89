"""What is accepted says where it is seen: `Location` and `Retry-After`."""

from __future__ import annotations

from typing import Any

import pytest

from tests.api.client import HOST, Answer, Api
from tests.api.conftest import Make, operations
from tests.api.test_idempotency import BODY

URL = f"https://{HOST}/api/v1.0"


def seen(api: Api, answer: Answer) -> Any:
    """What stands where an answer points to."""
    assert answer.headers["Retry-After"].isdigit()
    return api.raw("GET", answer.headers["Location"].removeprefix(f"https://{HOST}/api")).body


def test_a_create_points_to_its_instance(api: Api) -> None:
    answer = api.post("/instances", BODY)
    assert seen(api, answer)["instance"]["id"] == answer.body["instance"]["id"]


@pytest.mark.parametrize(
    "ask",
    [
        lambda api, path: api.delete(path),
        lambda api, path: api.post(f"{path}/action", {"restart": {}}),
        lambda api, path: api.post(f"{path}/action", {"resize": {"volume": {"size": 2}}}),
        lambda api, path: api.post(f"{path}/action", {"force_delete": {}}),
        lambda api, path: api.put(path, {"instance": {"access": {"is_public": True}}}),
    ],
    ids=["delete", "restart", "resize", "force delete", "access"],
)
def test_an_operation_is_found_where_its_answer_points_to(api: Api, make: Make, ask: Any) -> None:
    row = make(held={"instances": 1, "ram": 512, "volumes": 1})
    answer = ask(api, f"/instances/{row.id}")
    (operation,) = operations(row.id)
    assert answer.status == 202
    assert seen(api, answer)["operation"]["id"] == operation.id


def test_an_administrators_points_below_its_own_project(admin: Api, make: Make) -> None:
    row = make()
    answer = admin.post(f"/mgmt/instances/{row.id}/action", {"reboot": {}})
    assert seen(admin, answer)["operation"]["action"] == "reboot_instance"
    assert answer.headers["Location"].startswith(f"{URL}/{admin.project}/")


def test_a_delete_that_is_asked_for_again_points_to_the_first(api: Api, make: Make) -> None:
    row = make()
    first, again = (api.delete(f"/instances/{row.id}") for _ in range(2))
    assert first.headers["Location"] == again.headers["Location"]


def test_what_is_done_at_once_points_nowhere(api: Api, make: Make) -> None:
    answer = api.put(f"/instances/{make().id}", {"instance": {"name": "other"}})
    assert answer.status == 202
    assert not {"Location", "Retry-After"} & set(answer.headers)
