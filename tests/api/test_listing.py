"""Filters and orders of lists as queries: what they mean, what is refused, what it costs."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit

import pytest

from chalicelib.lifecycle import Status
from tests.api.client import Api
from tests.api.conftest import Make
from tests.support.bare import World


def names(api: Api, query: str, path: str = "/instances") -> list[str]:
    answer = api.get(f"{path}?{query}")
    assert answer.status == 200, answer.body
    return [each["name"] for each in answer.body["instances"]]


@pytest.fixture
def fleet(make: Make) -> None:
    make(name="one", tags={"eu", "shop"}, created=1.0)
    make(Status.ERROR, name="two", tags={"eu"}, created=3.0)
    make(name="three", created=2.0, datastore_name="mysql", datastore_version="8.4")


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("name=two", ["two"]),
        ("status=error", ["two"]),
        ("datastore=mysql", ["three"]),
        ("datastore_version=8.4", ["three"]),
        ("tags=eu&sort_key=created", ["one", "two"]),
        ("tags=shop,eu", ["one"]),
        ("tags=shop%2Ceu", ["one"]),
        ("sort_key=created&sort_dir=desc", ["two", "three", "one"]),
        ("sort_key=name", ["one", "three", "two"]),
        ("include_clustered=&include_clustered=true&sort_key=name", None),
        ("status=DELETED", []),
    ],
)
@pytest.mark.parametrize("path", ["/instances", "/instances/detail"])
def test_a_list_shows_what_is_asked_for(
    api: Api, fleet: None, query: str, found: list[str] | None, path: str
) -> None:
    assert names(api, query, path) == (["one", "three", "two"] if found is None else found)


@pytest.mark.parametrize(
    "query",
    [
        "status=GONE",
        "sort_key=status",
        "sort_dir=up",
        "sort_key=name&marker=nobody",
        f"name={'x' * 256}",
        "tags=" + ",".join(f"t{number}" for number in range(51)),
    ],
)
def test_what_makes_no_sense_is_400(api: Api, fleet: None, query: str) -> None:
    assert api.get(f"/instances?{query}").status == 400


def test_the_next_page_keeps_filter_and_order(api: Api, fleet: None) -> None:
    query, seen = "tags=eu&sort_key=created&sort_dir=desc&limit=1", list[Any]()
    while query:
        answer = api.get(f"/instances?{query}").body
        seen += [each["name"] for each in answer["instances"]]
        links = answer.get("links")
        query = urlsplit(links[0]["href"]).query if links else ""
    assert seen == ["two", "one"]


def test_administrators_filter_everybodys_and_sort_one_projects(
    admin: Api, api: Api, fleet: None
) -> None:
    path = "/mgmt/instances"
    assert names(admin, f"project_id={api.project}&sort_key=name", path) == ["one", "three", "two"]
    assert names(admin, f"project_id={api.project}&tags=shop", path) == ["one"]
    assert "two" in names(admin, "status=ERROR", path)
    assert "one" not in names(admin, "status=ERROR", path)
    assert admin.get(f"{path}?sort_key=name").status == 400


def test_a_sorted_list_is_two_reads(api: Api, world: World, fleet: None) -> None:
    world.log.clear()
    names(api, "sort_key=created&tags=eu")
    assert world.log == ["dynamodb.Query", "dynamodb.BatchGetItem"]
