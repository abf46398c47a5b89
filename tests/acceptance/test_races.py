"""Requests that race: creates against the quota, two deletes, deletes during a create."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.acceptance.stack import Stack


def test_the_same_create_three_times_at_once_keeps_the_quota_exact(stack: Stack) -> None:
    api = stack.demo2
    with ThreadPoolExecutor(3) as pool:
        answers = list(pool.map(lambda _: api.create("same"), range(3)))
    accepted = [answer for answer in answers if answer.status_code == 200]
    assert {answer.status_code for answer in answers} <= {200, 413}
    assert stack.quota_in_use(api)["instances"] == len(accepted) == 3
    ids = [answer.json()["instance"]["id"] for answer in accepted]
    for instance_id in ids:
        api.wait(instance_id, "ACTIVE", within=180)
    with ThreadPoolExecutor(6) as pool:
        deletes = list(pool.map(api.delete, ids * 2))
    assert {answer.status_code for answer in deletes} <= {202, 404}
    for instance_id in ids:
        operations = api.request("GET", f"/instances/{instance_id}/operations")
        if operations.status_code == 200:
            actions = [each["action"] for each in operations.json()["operations"]]
            assert actions.count("delete_instance") == 1
        api.wait(instance_id, "GONE")
    for instance_id in ids:
        stack.assert_owns_nothing(api, instance_id)
    assert stack.quota_in_use(api) == {"instances": 0, "ram": 0, "volumes": 0}


def test_a_quota_is_refused_with_troves_words(stack: Stack) -> None:
    answer = stack.demo2.create("too-big", volume={"size": 11})
    assert answer.status_code == 413
    assert "overLimit" in answer.json()


def test_a_delete_in_build_is_refused_and_a_forced_one_wins(stack: Stack) -> None:
    api = stack.demo
    instance_id = api.created("forced")
    refused = api.delete(instance_id)
    assert refused.status_code == 422
    assert refused.json()["unprocessableEntity"]["code"] == 422
    reset: dict[str, dict[str, str]] = {"reset_status": {}}
    not_admin = api.request("POST", f"/instances/{instance_id}/action", reset)
    assert not_admin.status_code == 403
    forced = stack.admin.request("POST", f"/instances/{instance_id}/action", reset)
    assert forced.status_code == 202, forced.text
    assert api.delete(instance_id).status_code == 202
    api.wait(instance_id, "GONE", within=120)
    stack.assert_owns_nothing(api, instance_id)


@pytest.mark.parametrize("body", [b"{", b"[]", b'"x"', b"\xff", b'{"instance": 5}'])
def test_a_malformed_body_is_told_in_troves_fault_body(stack: Stack, body: bytes) -> None:
    import requests

    user = stack.demo.user
    answer = requests.post(
        f"{stack.endpoint}/v1.0/{user.project_id}/instances",
        data=body,
        headers={"X-Auth-Token": user.token, "Content-Type": "application/json"},
        timeout=20,
    )
    assert answer.status_code == 400
    assert answer.json()["badRequest"]["code"] == 400
