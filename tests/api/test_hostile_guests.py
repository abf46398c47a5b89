"""A guest's junk is that guest's failure: 502 in Trove's form, never a 500, whatever it answers."""

from __future__ import annotations

from typing import Any

import pytest

from tests.api.client import Api
from tests.api.conftest import Guest, Make

READS = [
    ("/databases", "list_databases", "databases"),
    ("/users", "list_users", "users"),
    ("/users/ann", "get_user", "user"),
    ("/users/ann/databases", "list_access", "databases"),
    ("/root", "is_root_enabled", "enabled"),
]
JUNK: list[Any] = [
    7, -1.5, 10**40, 1e308, "", "x" * 100_000, None, {}, [None], [[]], [{}], [{"name": ""}],
    [{"name": 7}], [{"name": "x" * 256}], {"name": None},
    {"name": "a", "databases": [{}]}, {"name": "a", "databases": {"name": "b"}}, [7], ["name"],
    {"name": "a", "databases": "b"}, {"name": "a", "host": 7},
]  # fmt: skip


@pytest.mark.parametrize(("path", "method", "field"), READS)
def test_what_is_no_answer_is_502(
    api: Api, make: Make, guest: Guest, path: str, method: str, field: str
) -> None:
    row = make()
    for answer in ({}, {"other": 1}, *({field: junk} for junk in JUNK)):
        guest.answers[method] = answer
        got = api.ask("GET", f"/instances/{row.id}{path}")
        assert got.status == 502, (answer, got.body)
        assert row.id in got.fault()


def test_more_rows_than_a_page_has_are_502(api: Api, make: Make, guest: Guest) -> None:
    guest.answers["list_databases"] = {"databases": [{"name": "a"}] * 1001}
    assert api.ask("GET", f"/instances/{make().id}/databases").status == 502


def test_what_an_answer_holds_beside_its_own_stays_inside(
    api: Api, make: Make, guest: Guest
) -> None:
    user = {"name": "ann", "password": "secret", "databases": [{"name": "web", "id": 7}]}
    guest.answers["get_user"] = {"user": user, "tenant": "other"}
    got = api.ask("GET", f"/instances/{make().id}/users/ann")
    assert got.body == {"user": {"name": "ann", "host": "%", "databases": [{"name": "web"}]}}
