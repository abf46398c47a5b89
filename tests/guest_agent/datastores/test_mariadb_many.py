"""A customer with more users, grants or databases than a message, or an agent, could hold."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from chalicelib.bus.contract.values import MOST_ROWS
from guest_agent.answers import ANSWER_BYTES
from tests.guest_agent.datastores.conftest import Guest
from tests.guest_agent.datastores.test_mariadb_accounts import make_user, names

pytestmark = pytest.mark.database

MANY = 12_000
"""Grants or accounts, as the customer's root could make them."""
LONG_NAMES = 1200
"""More than a page; a page of them is three times as long as a message."""


@pytest.fixture
def full(shared: Guest) -> Iterator[Guest]:
    """The shared server, with what is in no answer; it goes by SQL."""
    yield shared
    for table in ("global_priv", "db"):
        shared.as_agent(f"DELETE FROM mysql.{table} WHERE User REGEXP '^(many|bob|carol|日)'")
    shared.as_agent("FLUSH PRIVILEGES")
    assert names(shared.ask("list_users"), "users") == ["alice"]


def grant_many(guest: Guest, user: str) -> None:
    guest.as_agent(
        "INSERT INTO mysql.db (Host, Db, User, Select_priv)"
        f" SELECT '%', CONCAT('many', seq), '{user}', 'Y' FROM mysql.seq_1_to_{MANY}"
    )


def test_a_user_of_too_many_databases_is_told_and_hides_nobody(full: Guest) -> None:
    make_user(full, "bob")
    grant_many(full, "bob")
    make_user(full, "carol", "shop")
    sentence = "the user 'bob' at '%' may use more databases than one answer can hold"
    for method in ("get_user", "list_access"):
        assert full.refusal(method, {"username": "bob"}) == ("GuestError", sentence)
    first = full.ask("list_users")
    assert (names(first, "users"), first["next_marker"]) == (["alice"], "alice@%")
    assert full.refusal("list_users", {"marker": "alice@%"}) == ("GuestError", sentence)
    rest = full.ask("list_users", {"marker": "bob@%"})
    assert (names(rest, "users"), rest["next_marker"]) == (["carol"], None)
    assert rest["users"][0]["databases"] == [{"name": "shop"}]


def test_his_access_is_given_and_taken_all_the_same(full: Guest) -> None:
    make_user(full, "bob")
    grant_many(full, "bob")
    full.ask("grant_access", {"username": "bob", "databases": ["shop"]})
    full.ask("revoke_access", {"username": "bob", "database": "shop"})
    assert full.refusal("revoke_access", {"username": "bob", "database": "shop"})[0] == (
        "DatabaseNotFound"
    )
    full.ask("delete_user", {"user": {"name": "bob"}})


def test_a_page_ends_where_an_answer_is_full(full: Guest) -> None:
    """Pages meet without gaps, however few of the rows fit into one."""
    full.as_agent(
        "INSERT INTO mysql.global_priv SELECT '%', CONCAT(REPEAT('日', 90), LPAD(seq, 4, '0')),"
        f" '{{}}' FROM mysql.seq_1_to_{LONG_NAMES}"
    )
    found: list[dict[str, Any]] = []
    marker, pages = None, 0
    while pages == 0 or marker is not None:
        page = full.ask("list_users", {"marker": marker})
        found += page["users"]
        marker, pages = page["next_marker"], pages + 1
    assert [user["name"] for user in found] == [
        "alice",
        *(f"{'日' * 90}{number:04}" for number in range(1, LONG_NAMES + 1)),
    ]
    assert pages > LONG_NAMES / MOST_ROWS + 1
    assert pages < 2 * len(str(found).encode("ascii", "backslashreplace")) / ANSWER_BYTES + 2


def test_accounts_without_number_do_not_hide_the_database(full: Guest) -> None:
    """The guard looks at some at a time; root goes from everywhere when it is disabled."""
    full.as_agent(
        "INSERT INTO mysql.global_priv SELECT CONCAT('10.0.', seq DIV 250, '.', seq MOD 250),"
        " 'root', '{}' FROM mysql.seq_1_to_1100"
    )
    full.as_agent("FLUSH PRIVILEGES")
    assert full.ask("is_root_enabled") == {"enabled": True}
    full.ask("disable_root")
    assert full.ask("is_root_enabled") == {"enabled": False}
