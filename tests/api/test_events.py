"""GET events: what happened to the instances of a project, by instance, kind and time."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit

import pytest

from chalicelib import aws
from chalicelib.lifecycle import Status
from chalicelib.store import events
from chalicelib.store.models import Instance
from tests.api.client import Api
from tests.api.conftest import Make


def kinds(api: Api, query: str = "") -> list[str]:
    answer = api.get(f"/events?{query}")
    assert answer.status == 200, answer.body
    return [each["kind"] for each in answer.body["events"]]


def record(row: Instance, kind: str) -> None:
    events.record(row.id, kind, f"{kind} of {row.id}", row.tenant_id)


def test_a_project_reads_what_happened_to_its_instances(api: Api, other: Api, make: Make) -> None:
    one, two = make(), make()
    record(one, "guest.crashed")
    api.put(f"/instances/{two.id}", {"instance": {"name": "b"}})
    api.delete(f"/instances/{one.id}")
    answer = api.get("/events").body["events"]
    assert {(each["instance_id"], each["kind"]) for each in answer} == {
        (one.id, "guest.crashed"),
        (two.id, "renamed"),
        (one.id, "delete_instance.accepted"),
    }
    assert kinds(other) == []


def test_it_is_narrowed_by_instance_kind_and_time(api: Api, make: Make) -> None:
    one, two = make(), make()
    record(one, "guest.crashed")
    record(two, "guest.running")
    assert kinds(api, f"instance={one.id}") == ["guest.crashed"]
    assert kinds(api, "kind=guest.running") == ["guest.running"]
    assert len(kinds(api, "kind=guest")) == 2
    assert kinds(api, "since=2100-01-01T00:00:00Z") == []
    assert kinds(api, "until=2000-01-01") == []
    assert len(kinds(api, "since=2000-01-01T00:00:00&until=2100-01-01T00:00:00%2B02:00")) == 2
    events_of_one = api.get(f"/instances/{one.id}/events?kind=guest&since=2000-01-01").body
    assert [each["kind"] for each in events_of_one["events"]] == ["guest.crashed"]


def test_the_events_of_what_is_gone_are_told(api: Api, make: Make) -> None:
    row = make(Status.DELETED, None, index_tenant=None)
    record(row, "delete_instance.succeeded")
    assert kinds(api, f"instance={row.id}") == ["delete_instance.succeeded"]
    assert api.get(f"/instances/{row.id}/events").status == 200
    assert api.get(f"/instances/{row.id}/operations").body == {"operations": []}
    assert api.get(f"/instances/{row.id}").status == 404


def test_pages_follow_each_other(api: Api, make: Make) -> None:
    row = make()
    for number in range(5):
        record(row, f"kind-{number}")
    query, seen = "limit=2", list[Any]()
    while query:
        body = api.get(f"/events?{query}").body
        seen += [each["kind"] for each in body["events"]]
        query = urlsplit(body["links"][0]["href"]).query if "links" in body else ""
    assert len(seen) == 5


@pytest.mark.parametrize(
    "query", ["since=yesterday", "until=1", "limit=0", f"kind={'x' * 256}", "since=9999-99-99"]
)
def test_what_makes_no_sense_is_400(api: Api, query: str) -> None:
    assert api.get(f"/events?{query}").status == 400


@pytest.mark.parametrize("time", ["0001-01-01", "9999-12-31T23:59:59Z", "0001-01-01T00:00%2B12:00"])
def test_times_far_away_are_times(api: Api, time: str) -> None:
    assert kinds(api, f"since={time}") == []
    assert kinds(api, f"until={time}") == []


def test_strangers_and_operators_events_are_not_shown(api: Api, other: Api, make: Make) -> None:
    row = make()
    events.record(row.id, "enrolment.refused", "for operators")
    assert kinds(api) == []
    assert kinds(api, f"instance={row.id}") == []
    assert other.get(f"/events?instance={row.id}").status == 404
    assert other.get(f"/events?instance={aws.new_id()}").status == 404
