"""A migration on a running stack: the rows go to the other host, or stay where they were."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.acceptance.operating import over
from tests.acceptance.shop import WITHIN, Shop, shop_on
from tests.acceptance.stack import Stack, eventually


@pytest.fixture(scope="module")
def shop(stack: Stack) -> Iterator[Shop]:
    stack.grant("coffer", "manager")  # what Nova wants of who migrates
    with shop_on(stack) as made:
        yield made


def host_of(shop: Shop) -> str:
    (server,) = shop.stack.things_of(shop.id, "servers")
    return str(server["host"])


def test_the_rows_go_to_another_host_by_the_unmodified_client(shop: Shop) -> None:
    before = host_of(shop)
    shop.migrate()
    assert over(shop.stack, shop.id)["status"] == "SUCCEEDED"
    assert host_of(shop) != before
    shop.serves(generation=1)


def test_a_host_is_an_administrators_and_the_rows_are_where_they_were(shop: Shop) -> None:
    before = host_of(shop)
    shop.migrate("compute-nowhere")
    ended = over(shop.stack, shop.id)
    assert "Policy doesn't allow os_compute_api:os-migrate-server:migrate:host" in ended["reason"]
    assert host_of(shop) == before
    shop.serves(generation=1)


@pytest.mark.crash
def test_an_agent_and_a_database_that_die_on_the_way_lose_nothing(shop: Shop) -> None:
    shop.migrate()
    eventually(lambda: shop.step("answers"), WITHIN, "the server has moved")
    shop.kill()
    ended = over(shop.stack, shop.id)
    assert ended["status"] == "SUCCEEDED" or len(ended["reason"]) > 20
    shop.serves(generation=1)
