"""Who asked for what: in one log line of each request, and in the events of what was accepted."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from chalicelib.lifecycle import Status
from chalicelib.logs import FIELDS
from chalicelib.store import events
from chalicelib.store.models import Instance
from tests.api.client import Api
from tests.api.conftest import Guest, Make, operations
from tests.support.lines import lines_of

MEASURED = {"_aws", "deployment", "route", "status_class", "request_ms"}
HEADER = "X-OpenStack-Request-Id"


@pytest.fixture
def lines() -> Iterator[Any]:
    """The lines that the API has logged, as they leave the process."""
    with lines_of("chalicelib.api.frame") as written:
        yield lambda: list(written)


def asked_by(row: Instance) -> list[tuple[str, str | None, str | None]]:
    return [(each.kind, each.user_id, each.request_id) for each in events.events_of(row.id)]


def test_each_request_logs_who_asked_for_what_of_which_instance(
    api: Api, admin: Api, make: Make, guest: Guest, hints: list[str], lines: Any
) -> None:
    row = make()
    answers = [
        api.delete(f"/instances/{row.id}/users/ann"),
        api.post(f"/instances/{row.id}/action", {"restart": {}}),
        admin.put("/mgmt/quotas/somebody", {"quotas": {"ram": 1}}),
        api.post(f"/instances/{row.id}/action", {"dance": {}}),
    ]
    told = lines()
    assert len(told) == len(answers)
    user = f"user-of-{api.project}"
    users = "DELETE /v1.0/{project}/instances/{instance}/users/{user}"
    unknown = "POST /v1.0/{project}/instances/{instance}/action"
    expected = [
        (users, row.id, 202),
        ("restart", row.id, 202),
        ("PUT /v1.0/{project}/mgmt/quotas/{tenant}", None, 200),
        (unknown, row.id, 400),
    ]
    for line, answer, (action, instance_id, status) in zip(told, answers, expected, strict=True):
        assert line["request_id"] == answer.headers[HEADER]
        assert (line["user_id"], line["tenant_id"]) == (user, api.project)
        assert (line["action"], line.get("instance_id")) == (action, instance_id)
        assert line["status"] == status
        assert line["took_ms"] >= 0
        assert set(line) <= {"level", "logger", "message", *FIELDS, *MEASURED}


def test_a_create_logs_the_instance_that_it_made(api: Api, hints: list[str], lines: Any) -> None:
    wanted = {"name": "shop", "flavorRef": "1", "volume": {"size": 1}}
    made = api.post("/instances", {"instance": wanted}).body["instance"]["id"]
    assert lines()[-1]["instance_id"] == made


def test_a_request_without_a_token_is_nobodys(api: Api, lines: Any) -> None:
    api.get("/instances", headers={"X-Auth-Token": "unknown"})
    (line,) = lines()
    assert line["status"] == 401
    assert not {"user_id", "tenant_id", "instance_id"} & set(line)


def test_a_failure_is_logged_under_the_id_that_the_client_was_given(
    api: Api, make: Make, guest: Guest, lines: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object, **__: object) -> None:
        raise RuntimeError

    monkeypatch.setattr("chalicelib.api.instances.lists.of_tenant", broken)
    answer = api.get("/instances")
    assert {line["request_id"] for line in lines()} == {answer.headers[HEADER]}
    assert "RuntimeError" in lines()[0]["exception"]


def test_accepted_changes_remember_who_asked(
    api: Api, admin: Api, make: Make, hints: list[str]
) -> None:
    user = f"user-of-{api.project}"
    row = make()
    reset = admin.post(f"/instances/{row.id}/action", {"reset_status": {}})
    deleted = api.delete(f"/instances/{row.id}")
    assert asked_by(row) == [
        ("delete_instance.accepted", user, deleted.headers[HEADER]),
        ("status.reset", user, reset.headers[HEADER]),
    ]
    (operation,) = operations(row.id)
    assert (operation.user_id, operation.request_id) == (user, deleted.headers[HEADER])


def test_a_tenant_is_not_told_which_administrator_it_was(
    api: Api, make: Make, hints: list[str]
) -> None:
    operator = Api(api.app, "operators", "admin")
    row = make()
    api.put(f"/instances/{row.id}", {"instance": {"name": "other"}})
    operator.post(f"/instances/{row.id}/action", {"reset_status": {}})
    operator.post(f"/instances/{row.id}/action", {"force_delete": {}})
    path = f"/instances/{row.id}/events"
    seen = {each["kind"]: each["user_id"] for each in api.get(path).body["events"]}
    assert seen == {
        "renamed": f"user-of-{api.project}",
        "status.reset": None,
        "delete_instance.accepted": None,
    }
    told = {each["kind"]: each["user_id"] for each in operator.get(path).body["events"]}
    assert told == {
        **seen,
        "status.reset": "user-of-operators",
        "delete_instance.accepted": "user-of-operators",
    }


def test_an_event_of_a_former_release_names_nobody(api: Api, make: Make) -> None:
    row = make()
    asked = events.Asked("somebody", "req-1")
    events.new_event(row.id, "status.reset", "", api.project, asked).save()
    (told,) = api.get(f"/instances/{row.id}/events").body["events"]
    assert (told["user_id"], told["request_id"]) == (None, "req-1")


def test_small_changes_remember_it_too(api: Api, make: Make, guest: Guest) -> None:
    row = make()
    renamed = api.put(f"/instances/{row.id}", {"instance": {"name": "other"}})
    enabled = api.post(f"/instances/{row.id}/root")
    user = f"user-of-{api.project}"
    assert sorted(asked_by(row)) == [
        ("renamed", user, renamed.headers[HEADER]),
        ("root.enabled", user, enabled.headers[HEADER]),
    ]
    assert Instance.get(row.id).root_enabled_by == user


def test_the_feed_is_read_in_pages_newest_first(api: Api, make: Make) -> None:
    row = make(Status.ACTIVE)
    for number in range(5):
        event = events.new_event(row.id, f"kind.{number}", "said", api.project)
        event.id = f"{number:013d}-x"
        event.save()
    found: list[str] = []
    path = f"/instances/{row.id}/events?limit=2"
    for _ in range(3):
        answer = api.get(path)
        found += [each["kind"] for each in answer.body["events"]]
        if "links" in answer.body:
            marker = answer.body["links"][0]["href"].rpartition("marker=")[2]
            path = f"/instances/{row.id}/events?limit=2&marker={marker}"
    assert found == [f"kind.{number}" for number in (4, 3, 2, 1, 0)]
    assert "links" not in answer.body


def test_what_is_for_operators_is_shown_to_administrators_only(
    api: Api, admin: Api, other: Api, make: Make
) -> None:
    row = make()
    events.record(row.id, "orphan.removed", "volume v")
    events.record(row.id, "guest.said", "hello", api.project)
    path = f"/instances/{row.id}/events"
    assert [each["kind"] for each in api.get(path).body["events"]] == ["guest.said"]
    kinds = {each["kind"] for each in admin.get(path).body["events"]}
    assert kinds == {"guest.said", "orphan.removed"}
    assert other.get(path).status == 404


CLIENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00"


def test_what_a_policy_refuses_leaves_its_record_too(api: Api, lines: Any) -> None:
    answer = api.put("/mgmt/quotas/somebody", {"quotas": {"ram": 1}})
    assert answer.status == 401  # as Trove answers whoever is no administrator
    (line,) = lines()
    assert (line["audit"], line["outcome"], line["status"]) == (True, "refused", 401)
    assert (line["user_id"], line["roles"], line["admin"]) == (
        f"user-of-{api.project}",
        ["member"],
        False,
    )
    assert line["target"] == f"/v1.0/{api.project}/mgmt/quotas/somebody"


def test_reads_and_dry_runs_and_unknown_paths_are_not_audited(
    api: Api, make: Make, lines: Any
) -> None:
    row = make()
    api.get(f"/instances/{row.id}")
    api.post(f"/instances/{row.id}/action?dry_run=true", {"restart": {}})
    api.app({"requestContext": {"httpMethod": "PUT", "resourcePath": "/nowhere"}}, None)
    told = lines()
    assert len(told) == 3
    assert not any("audit" in line for line in told)
    assert told[-1]["action"] == "PUT none"


def test_an_administrators_act_is_in_the_record_and_in_the_tenants_feed(
    api: Api, make: Make, hints: list[str], lines: Any
) -> None:
    operator, row = Api(api.app, "operators", "admin"), make()
    answer = operator.post(f"/instances/{row.id}/action", {"reset_status": {}})
    (line,) = lines()
    assert (line["tenant_id"], line["owner_id"]) == ("operators", api.project)
    assert (line["admin"], line["instance_id"]) == (True, row.id)
    (event,) = api.get(f"/instances/{row.id}/events").body["events"]
    assert (event["kind"], event["request_id"]) == ("status.reset", line["request_id"])
    assert line["request_id"] == answer.headers[HEADER]


def test_an_operation_goes_on_with_the_trace_of_its_client(
    api: Api, make: Make, hints: list[str], lines: Any
) -> None:
    row = make()
    api.delete(f"/instances/{row.id}", headers={"TraceParent": CLIENT})
    (line,) = lines()
    assert (line["trace_id"], line["parent_id"]) == (CLIENT[3:35], CLIENT[36:52])
    (operation,) = operations(row.id)
    assert operation.traceparent == f"00-{CLIENT[3:35]}-{line['span_id']}-00"


def test_a_strange_traceparent_is_no_error(api: Api, lines: Any) -> None:
    answer = api.get("/instances", headers={"traceparent": "00-" + "f" * 5000})
    (line,) = lines()
    assert answer.status == 200
    assert line["request_id"] == f"req-{answer.headers[HEADER].removeprefix('req-')}"
    assert line["trace_id"] == line["request_id"].removeprefix("req-").replace("-", "")
