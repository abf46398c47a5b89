"""What Trove has not about requests, on a running stack: keys, plans, notes, cancels, feeds."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import requests

from tests.acceptance.stack import Api, Stack, eventually

BODY = {
    "instance": {
        "name": "keyed",
        "flavorRef": "1",
        "volume": {"size": 1},
        "datastore": {"type": "mariadb", "version": "10.11"},
        "tags": ["shop"],
        "deletion_protection": True,
    }
}


def keyed(api: Api, path: str, body: Any, key: str) -> requests.Response:
    return api.request("POST", path, body, headers={"Idempotency-Key": key})


def at_once(api: Api, path: str, body: Any, key: str, times: int = 4) -> list[requests.Response]:
    """The same request several times at the same moment."""
    with ThreadPoolExecutor(times) as pool:
        return list(pool.map(lambda _: keyed(api, path, body, key), range(times)))


def test_requests_that_are_sent_again_planned_protected_and_cancelled(stack: Stack) -> None:
    demo = stack.demo
    plan = demo.request("POST", "/instances?dry_run=true", BODY).json()["dry_run"]
    assert plan["would_be_accepted"], plan
    made = at_once(demo, "/instances", BODY, "create-1")
    assert {answer.status_code for answer in made} == {200}
    (instance_id,) = {answer.json()["instance"]["id"] for answer in made}
    assert made[0].headers["Location"].endswith(f"/instances/{instance_id}")
    listed = demo.request("GET", "/instances?tags=shop&sort_key=created").json()["instances"]
    assert [each["id"] for each in listed] == [instance_id]
    demo.healthy(instance_id)
    path = f"/instances/{instance_id}"
    try:
        users = {"users": [{"name": "joe", "password": "secret-of-joe"}]}
        told = at_once(demo, f"{path}/users", users, "users-1")
        assert {answer.status_code for answer in told} == {202}, [each.text for each in told]
        passwords = {each.text for each in at_once(demo, f"{path}/root", None, "root-1", 2)}
        assert len(passwords) == 1, "one root has one password"
        refused = demo.delete(instance_id)
        assert refused.status_code == 409
        assert "deletion_protection" in refused.json()["conflict"]["message"]
        _cancelled(stack, path, instance_id)
        kinds = {
            each["kind"]
            for each in demo.request("GET", f"/events?instance={instance_id}").json()["events"]
        }
        assert {"create_instance.succeeded", "root.enabled", "stop_instance.cancelled"} <= kinds
    finally:
        demo.request("PUT", path, {"instance": {"deletion_protection": False}})
        gone = demo.delete(instance_id)
    assert gone.status_code == 202
    demo.wait(instance_id, "GONE")
    ended = requests.get(
        gone.headers["Location"], headers={"X-Auth-Token": demo.user.token}, timeout=30
    )
    assert ended.json()["operation"]["status"] == "SUCCEEDED"
    stack.assert_owns_nothing(demo, instance_id)


def _cancelled(stack: Stack, path: str, instance_id: str) -> None:
    """A stop that is called back: the database is up again."""
    stop = stack.demo.request("POST", f"{path}/action", {"stop": {}})
    assert stop.status_code == 202, stop.text
    operation = stop.headers["Location"].rpartition("/")[2]
    answer = stack.demo.request("DELETE", f"{path}/operations/{operation}")
    assert answer.status_code == 202, answer.text

    def ended() -> bool:
        shown = stack.demo.request("GET", f"{path}/operations/{operation}").json()["operation"]
        return bool(shown["status"] == "CANCELLED")

    eventually(ended, 180, "the stop ends as cancelled")
    stack.demo.healthy(instance_id)
