"""List, detail and show of instances: fields, pages, tenants, and what they cost."""

from __future__ import annotations

import re
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from chalicelib.lifecycle import Status
from chalicelib.settings import settings
from tests.api.client import HOST, Api
from tests.api.conftest import Make, report
from tests.support.bare import World

NAIVE = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d")


def test_a_list_item_has_troves_fields_and_the_notes(api: Api, make: Make) -> None:
    address = {"address": "127.77.1.2", "type": "private", "network": "n"}
    row = make(addresses=[address], access={"is_public": False, "allowed_cidrs": ["10.0.0.0/8"]})
    (item,) = api.get("/instances").body["instances"]
    base = f"https://{HOST}/api"
    assert item == {
        "id": row.id,
        "name": "shop",
        "status": "ACTIVE",
        "operating_status": "HEALTHY",
        "links": [
            {"href": f"{base}/v1.0/{api.project}/instances/{row.id}", "rel": "self"},
            {"href": f"{base}/instances/{row.id}", "rel": "bookmark"},
        ],
        "flavor": {
            "id": "1",
            "links": [
                {"href": f"{base}/v1.0/{api.project}/flavors/1", "rel": "self"},
                {"href": f"{base}/flavors/1", "rel": "bookmark"},
            ],
        },
        "datastore": {"type": "mariadb", "version": "10.11", "version_number": "10.11.6"},
        "region": "RegionOne",
        "access": {"is_public": False, "allowed_cidrs": ["10.0.0.0/8"]},
        "volume": {"size": 1},
        "ip": ["127.77.1.2"],
        "addresses": [address],
        "description": None,
        "tags": [],
        "deletion_protection": False,
    }


def test_show_adds_times_usage_and_the_fault(api: Api, make: Make) -> None:
    row = make(Status.ERROR, fault_message="No host.", fault_created=1.0)
    report(row, "healthy", volume_used=0.25, volume_total=1.0)
    shown = api.get(f"/instances/{row.id}").body["instance"]
    for name in ("created", "updated", "service_status_updated"):
        assert NAIVE.fullmatch(shown[name])
    assert shown["volume"] == {"size": 1, "used": 0.25, "used_percent": 25.0}
    assert shown["fault"] == {"message": "No host.", "created": "1970-01-01T00:00:01"}
    assert "server_id" not in shown
    assert "tenant_id" not in shown


def test_what_ails_a_database_is_the_fault_while_it_does(api: Api, make: Make) -> None:
    row = make(service=None)
    report(row, "blocked", status_reason="the volume is full")
    shown = api.get(f"/instances/{row.id}").body["instance"]
    assert shown["fault"]["message"] == "The volume is full."
    assert shown["fault"]["created"] == shown["service_status_updated"]
    report(row, "healthy", status_reason="")
    assert "fault" not in api.get(f"/instances/{row.id}").body["instance"]


def test_metrics_are_what_the_guest_has_reported_last_and_nobody_is_asked(
    api: Api, make: Make
) -> None:
    row = make(service=None)
    nothing = api.get(f"/instances/{row.id}/metrics").body["metrics"]
    assert nothing["updated"] is None
    assert nothing["volume"] == {"used": None, "total": None}
    stored = '{"engine":"mariadb","connections":3,"connection_limit":100,"per_second":1.5}'
    report(row, "healthy", volume_used=0.25, volume_total=1.0, metrics=stored)
    told = api.get(f"/instances/{row.id}/metrics").body["metrics"]
    assert NAIVE.fullmatch(told.pop("updated"))
    assert told == {
        "instance_id": row.id,
        "connections": 3,
        "connection_limit": 100,
        "per_second": 1.5,
        "cache_hits": None,
        "replication_position": None,
        "volume": {"used": 0.25, "total": 1.0},
    }
    report(row, "healthy", metrics='{"connections": "of a later release"}')
    assert api.get(f"/instances/{row.id}/metrics").body["metrics"]["connections"] is None


def test_metrics_of_others_are_not_found(other: Api, make: Make) -> None:
    row = make()
    assert other.get(f"/instances/{row.id}/metrics").status == 404


def test_administrators_see_more(admin: Api, make: Make) -> None:
    row = make(resources={"server_id": "s", "volume_id": "v"}, fault_message="x")
    shown = admin.get(f"/instances/{row.id}").body["instance"]
    assert (shown["server_id"], shown["volume_id"]) == ("s", "v")
    assert shown["tenant_id"] == row.tenant_id
    assert shown["fault"] == {"message": "x", "created": shown["updated"]}
    (item,) = admin.get("/instances").body["instances"]
    assert item["tenant_id"] == row.tenant_id


def test_detail_is_a_list_of_shows(api: Api, make: Make) -> None:
    row = make()
    (item,) = api.get("/instances/detail").body["instances"]
    assert item == api.get(f"/instances/{row.id}").body["instance"]


@pytest.mark.parametrize(
    ("status", "service", "operating"),
    [
        (Status.BUILD, None, ""),
        (Status.BUILD, "building", ""),
        (Status.ACTIVE, "running", "ACTIVE"),
        (Status.ACTIVE, "crashed", "SHUTDOWN"),
        (Status.ACTIVE, "restarting", "RESTARTING"),
        (Status.ACTIVE, "blocked", "BLOCKED"),
        (Status.ACTIVE, "failed", "FAILED"),
        (Status.ACTIVE, None, "NEW"),
        (Status.ERROR, "healthy", ""),
    ],
)
def test_the_operating_status(
    api: Api, make: Make, status: Status, service: str | None, operating: str
) -> None:
    row = make(status, service)
    shown = api.get(f"/instances/{row.id}").body["instance"]
    assert (shown["status"], shown["operating_status"]) == (status, operating)


def test_a_silent_guest_is_shown_as_error(api: Api, make: Make, world: World) -> None:
    row = make()
    world.run(settings().heartbeat_expiry_seconds + 1)
    assert api.get(f"/instances/{row.id}").body["instance"]["operating_status"] == "ERROR"


def test_a_tenant_sees_its_own_and_no_deleted_ones(api: Api, other: Api, make: Make) -> None:
    row = make()
    gone = make(Status.DELETED, index_tenant=None)
    assert [item["id"] for item in api.get("/instances").body["instances"]] == [row.id]
    assert other.get("/instances").body == {"instances": []}
    assert api.get(f"/instances/{gone.id}").status == 404
    assert api.get("/instances/not-a-uuid").status == 404


def test_administrators_see_every_tenants_instance_by_id(other: Api, make: Make) -> None:
    row = make()
    admin = Api(other.app, other.project, "admin")
    assert admin.get(f"/instances/{row.id}").status == 200
    assert admin.get("/instances").body == {"instances": []}


def test_pages_follow_their_links_to_the_end(api: Api, make: Make) -> None:
    made = sorted(make(service=None).id for _ in range(25))
    seen: list[str] = []
    url = f"/v1.0/{api.project}/instances?limit=10&include_clustered=False"
    while url:
        page = api.raw("GET", url).body
        seen += [item["id"] for item in page["instances"]]
        url = ""
        if "links" in page:
            (link,) = page["links"]
            assert link["rel"] == "next"
            parts = urlsplit(link["href"])
            assert parse_qs(parts.query)["include_clustered"] == ["False"]
            url = parts.path.removeprefix("/api") + "?" + parts.query
    assert seen == made


def test_a_larger_limit_is_clamped(api: Api, make: Make) -> None:
    for _ in range(21):
        make(service=None)
    page = api.get("/instances?limit=500").body
    assert len(page["instances"]) == 20
    assert "links" in page


@pytest.mark.parametrize(
    "query",
    ["limit=0", "limit=-1", "limit=a", "limit=1.5", "limit=", "marker=", "marker=" + "m" * 300],
)
def test_a_senseless_page_is_400(api: Api, query: str) -> None:
    answer = api.get(f"/instances?{query}")
    assert answer.status == 400
    answer.fault()


@pytest.mark.parametrize("path", ["/instances", "/instances/detail"])
def test_a_list_is_one_query_and_one_batch_read(
    api: Api, make: Make, world: World, path: str
) -> None:
    for _ in range(20):
        make()
    world.log.clear()
    assert len(api.get(path).body["instances"]) == 20
    assert world.log == ["dynamodb.Query", "dynamodb.BatchGetItem"]


def test_show_is_two_reads(api: Api, make: Make, world: World) -> None:
    row = make()
    world.log.clear()
    api.get(f"/instances/{row.id}")
    assert world.log == ["dynamodb.GetItem", "dynamodb.GetItem"]


def rename(api: Api, row_id: str, method: str, **changes: Any) -> int:
    return api.ask(method, f"/instances/{row_id}", {"instance": changes}).status


@pytest.mark.parametrize("method", ["PUT", "PATCH"])
def test_an_instance_is_renamed(api: Api, make: Make, method: str) -> None:
    row = make()
    assert rename(api, row.id, method, name="new name") == 202
    assert api.get(f"/instances/{row.id}").body["instance"]["name"] == "new name"
    assert rename(api, row.id, method, name="") == 400


def test_other_changes_of_an_instance_are_refused(api: Api, make: Make) -> None:
    row = make()
    assert rename(api, row.id, "PUT") == 202
    assert rename(api, row.id, "PUT", configuration=None) == 202
    assert rename(api, row.id, "PUT", configuration="c") == 404
    assert rename(api, row.id, "PUT", replica_of=None) == 400
    assert rename(api, row.id, "PATCH", slave_of="", name="kept") == 400
    assert api.get(f"/instances/{row.id}").body["instance"]["name"] == "shop"
