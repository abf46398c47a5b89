"""docs/compatibility.md has a row for each route and each command, and each row is true."""

from __future__ import annotations

from importlib.metadata import entry_points
from pathlib import Path
from typing import NamedTuple

import pytest

from chalicelib.api import later
from chalicelib.api.application import ROUTES
from chalicelib.api.frame import Route
from chalicelib.lifecycle import Status
from chalicelib.settings import API_VERSION
from tests.api.client import Api
from tests.api.conftest import Make
from tests.api.test_idempotency import _Anything

PAGE = (Path(__file__).resolve().parents[2] / "docs/compatibility.md").read_text()
PROJECT = f"/{API_VERSION}/{{project}}"
SERVED = {"works", "ours"}
NOT_SERVED = {"later", "refused"}


class Row(NamedTuple):
    """A row of one of the tables."""

    name: str
    asks: str
    verdict: str
    remark: str


def rows(title: str) -> list[Row]:
    """The rows of the table under a title, without its head."""
    section = PAGE.partition(f"## {title}\n")[2].partition("\n## ")[0]
    lines = [line for line in section.splitlines() if line.startswith("|")]
    return [Row(*(cell.strip().strip("`") for cell in line.split("|")[1:5])) for line in lines[2:]]


def verdicts() -> dict[tuple[str, str], Row]:
    """The row of each method and route."""
    found = [
        ((method, row.asks), row) for row in rows("Every route") for method in row.name.split(", ")
    ]
    assert len(dict(found)) == len(found), "a route has two rows"
    return dict(found)


def short(route: Route) -> tuple[str, str]:
    return route.method, route.path.removeprefix(PROJECT) or route.path


def test_each_route_has_a_row_and_each_row_a_route() -> None:
    assert set(verdicts()) == {short(route) for route in ROUTES}


def test_each_command_of_the_client_has_a_row() -> None:
    commands = {each.name.replace("_", " ") for each in entry_points(group="openstack.database.v1")}
    assert len(commands) > 80
    listed = [row.name for row in rows("Every command of `openstack`")]
    assert sorted(listed) == sorted(commands)


def test_a_command_works_where_its_route_does_or_names_its_area() -> None:
    known = verdicts()
    for row in rows("Every command of `openstack`"):
        assert row.verdict in SERVED | NOT_SERVED
        method, _, path = row.asks.partition(" ")
        served = (method, path) in known and known[method, path].verdict in SERVED
        assert served or row.verdict in NOT_SERVED, row
        assert (row.verdict in NOT_SERVED) == bool(row.remark), f"{row} names no area"


@pytest.mark.parametrize("route", ROUTES, ids=lambda route: f"{route.method} {route.path}")
def test_a_row_says_what_its_route_answers(admin: Api, make: Make, route: Route) -> None:
    row = verdicts()[short(route)]
    assert row.verdict in SERVED | NOT_SERVED
    if row.verdict in NOT_SERVED:
        assert row.remark, f"{row} names neither an area nor a reason"
    made = make(Status.STOPPED)
    values = _Anything(made.id)
    values["project"] = admin.project
    answer = admin.raw(route.method, route.path.format_map(values), {})
    assert (answer.status == 501) == (row.verdict in NOT_SERVED), answer.body
    if route.handler is later.refuse:
        assert row.verdict in NOT_SERVED
