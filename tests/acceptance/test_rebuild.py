"""A rebuild and an expulsion on a running stack: rows survive, and the old guest is nobody."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from typing import Final

import pytest

from tests.acceptance.shop import WITHIN, Shop, shop_on
from tests.acceptance.stack import Stack, eventually

DEATHS: Final = (
    "rebuild_instance.new_generation@TransactWriteItems",
    "rebuild_instance.server@servers.rebuild",
    "rebuild_instance.prepare@SendMessage",
)


@pytest.fixture(scope="module")
def shop(stack: Stack) -> Iterator[Shop]:
    with shop_on(stack) as made:
        yield made


def test_a_rebuild_keeps_the_rows_and_replaces_the_guest(shop: Shop) -> None:
    before = shop.generation()
    shop.rebuild()
    shop.serves(before + 1)
    users = shop.stack.demo.request("GET", f"/instances/{shop.id}/users").json()["users"]
    assert [each["name"] for each in users] == ["alice"]


@pytest.mark.crash
@pytest.mark.deaths
def test_functions_that_die_after_their_effects_cost_nothing_but_time(
    stack: Stack, shop: Shop
) -> None:
    """Side by side, since most of the time is waiting for leases: each death meets who is first."""
    planned = [stack.crash_plan / death for death in DEATHS]
    with ExitStack() as made:
        shops = [shop, *(made.enter_context(shop_on(stack)) for _ in DEATHS[1:])]
        before = [each.generation() for each in shops]
        for file in planned:
            file.touch()
        for each in shops:
            each.rebuild()
        for each, generation in zip(shops, before, strict=True):
            each.serves(generation + 1)
    assert not [file for file in planned if file.exists()]


def test_an_agent_and_a_database_that_die_while_the_guest_comes_up(shop: Shop) -> None:
    before = shop.generation()
    shop.rebuild()
    eventually(lambda: shop.step("prepare"), WITHIN, "the new guest is asked")
    shop.kill()
    shop.serves(before + 1)


def test_an_expelled_guest_is_told_and_a_rebuild_brings_the_rows_back(shop: Shop) -> None:
    before = shop.generation()
    said = shop.stack.coffer("expel", shop.id)
    assert f"openstack database instance rebuild {shop.id}" in said
    shown = shop.stack.demo.show(shop.id) or {}
    assert shown["status"] == "ERROR"
    assert "expelled" in shown["fault"]["message"]
    started = shop.stack.demo.request("POST", f"/instances/{shop.id}/action", {"start": {}})
    assert started.status_code == 422
    shop.rebuild()
    shop.serves(before + 2)
