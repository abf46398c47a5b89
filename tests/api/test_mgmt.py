"""The administrators' view of all projects' instances."""

from __future__ import annotations

from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from chalicelib import aws
from chalicelib.lifecycle import Status
from chalicelib.store import lists
from chalicelib.store.models import Instance, ServiceStatusRow
from tests.api.client import Api
from tests.api.conftest import Make


def pages(api: Api, query: str = "") -> list[list[str]]:
    """The ids of every page, as a client follows the links."""
    found, more = [], query
    while True:
        answer = api.get(f"/mgmt/instances?{more}")
        assert answer.status == 200, answer.body
        found.append([each["id"] for each in answer.body["instances"]])
        links = answer.body.get("links", [])
        if not links:
            return found
        (link,) = links
        assert link["rel"] == "next"
        more = urlsplit(link["href"]).query
        assert parse_qs(more)["marker"]


def ids(api: Api, query: str = "") -> list[str]:
    return [each for page in pages(api, query) for each in page]


class Fleet:
    """Seven instances of the caller's project, three of another, two that are gone."""

    def __init__(self, make: Make) -> None:
        self.neighbour = aws.new_id()
        self.own = [make().id for _ in range(7)]
        made = [make(tenant_id=self.neighbour, index_tenant=self.neighbour) for _ in range(3)]
        self.theirs = sorted(each.id for each in made)
        gone = [make(Status.DELETED, index_tenant=None, deleted_at=aws.clock()) for _ in range(2)]
        self.gone = sorted(each.id for each in gone)

    def of(self, found: list[str]) -> list[str]:
        """Those of them, for other tests' rows are in the same table."""
        return sorted(each for each in found if each in {*self.own, *self.theirs, *self.gone})


@pytest.fixture
def fleet(make: Make) -> Fleet:
    return Fleet(make)


def test_all_projects_are_listed_page_by_page(admin: Api, fleet: Fleet) -> None:
    found = pages(admin, "limit=4&deleted=False&include_clustered=False")
    assert all(len(page) <= 4 for page in found)
    assert fleet.of([each for page in found for each in page]) == sorted(fleet.own + fleet.theirs)


@pytest.mark.parametrize("limit", [2, 20])
def test_one_projects_are_listed(admin: Api, fleet: Fleet, limit: int) -> None:
    assert ids(admin, f"project_id={fleet.neighbour}&limit={limit}") == fleet.theirs


def test_what_is_gone_is_listed_when_asked_for(admin: Api, fleet: Fleet) -> None:
    assert fleet.of(ids(admin, "deleted=True")) == fleet.gone
    assert ids(admin, f"deleted=True&project_id={fleet.neighbour}") == []
    shown = admin.get(f"/mgmt/instances/{fleet.gone[0]}?deleted=true").body["instance"]
    assert (shown["deleted"], shown["status"]) == (True, "DELETED")
    assert shown["deleted_at"]
    assert admin.get(f"/mgmt/instances/{fleet.gone[0]}").status == 404
    assert admin.get(f"/mgmt/instances/{fleet.own[0]}?deleted=true").status == 404


def test_a_page_ends_where_the_table_is_long(
    admin: Api, fleet: Fleet, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lists, "READ_AT_ONCE", 2)
    monkeypatch.setattr(lists, "MOST_READ", 4)
    found = pages(admin, "deleted=true")
    assert [] in found, "a page with nothing in it has a next one"
    assert fleet.of([each for page in found for each in page]) == fleet.gone


def test_an_administrator_sees_whose_it_is_and_where(admin: Api, make: Make) -> None:
    row = make(resources={"server_id": "server-1", "volume_id": "volume-1"})
    shown = admin.get(f"/mgmt/instances/{row.id}").body["instance"]
    assert (shown["tenant_id"], shown["server_id"]) == (row.tenant_id, "server-1")
    assert (shown["server"], shown["deleted"]) == ({"id": "server-1"}, False)
    told = {"state_description": "healthy", "generation": 1}
    assert shown["guest_status"] == told | {"agent_release": None, "agent_version": None}
    reported = ServiceStatusRow.get(row.id)
    reported.agent_release, reported.agent_version = 3, "1.0.1"
    reported.save()
    shown = admin.get(f"/mgmt/instances/{row.id}").body["instance"]
    assert shown["guest_status"] == told | {"agent_release": 3, "agent_version": "1.0.1"}
    assert shown["deleted_at"] is None


def test_who_enabled_root_is_told(admin: Api, make: Make) -> None:
    never, once = make(), make(root_enabled_at=0.0, root_enabled_by="ann")

    def history(row: Instance) -> Any:
        return admin.get(f"/mgmt/instances/{row.id}/root").body["root_history"]

    assert history(never) == {"id": never.id, "enabled": "Never", "user": "Nobody"}
    assert history(once) == {"id": once.id, "enabled": "1970-01-01T00:00:00", "user": "ann"}


@pytest.mark.parametrize("path", ["", "/{id}", "/{id}/root"])
def test_it_is_the_administrators_alone(api: Api, make: Make, path: str) -> None:
    answer = api.get("/mgmt/instances" + path.format(id=make().id))
    assert answer.status == 401
    assert answer.fault() == "User does not have admin privileges."


def test_what_is_not_there_is_404(admin: Api) -> None:
    for path in ("/mgmt/instances/nothing", "/mgmt/instances/nothing/root"):
        assert admin.get(path).status == 404
    assert admin.get("/mgmt/instances?limit=none").status == 400


@pytest.mark.parametrize("deleted", ["", "&deleted=true"])
def test_a_project_that_can_be_none_is_no_key(admin: Api, fleet: Fleet, deleted: str) -> None:
    """DynamoDB refuses keys that are empty or too long: nobody's mistake but the service's."""
    assert admin.get(f"/mgmt/instances?project_id={deleted}").status == 400
    assert admin.get(f"/mgmt/instances?project_id={'x' * 4000}{deleted}").status == 400


@pytest.mark.parametrize("path", ["", "/none", "/none/root"])
def test_whether_what_is_gone_is_meant_cannot_be_guessed(admin: Api, path: str) -> None:
    answer = admin.get(f"/mgmt/instances{path}?deleted=perhaps")
    assert answer.status == 400
    assert "'deleted'" in answer.fault()
    assert admin.get(f"/mgmt/instances{path}?deleted=False").status != 400
