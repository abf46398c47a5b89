"""An upgrade on a running stack, by the unmodified client: rows survive it and its way back."""

from __future__ import annotations

import signal
from collections.abc import Iterator

import pytest

from tests.acceptance.operating import ENGINE, offer
from tests.acceptance.shop import WITHIN, Shop, shop_on
from tests.acceptance.stack import Stack, eventually
from tests.acceptance.test_clients import run

DEATHS = (pytest.mark.crash, pytest.mark.deaths)
OTHER = f"{ENGINE.rpartition('.')[0]}.999"
"""One that no image has: a new guest finds another engine, and starts nothing."""


@pytest.fixture(scope="module")
def shop(stack: Stack) -> Iterator[Shop]:
    with shop_on(stack) as made:
        yield made


@pytest.fixture(scope="module", autouse=True)
def versions(stack: Stack) -> None:
    """Versions beside the one that the stack has, as an operator's row has them."""
    offer(stack, "newer")
    offer(stack, "newer still")
    offer(stack, "mislabelled", OTHER)


def upgrade(shop: Shop, to: str) -> None:
    run(shop.stack, "database", "instance", "upgrade", shop.id, to)
    shown = shop.stack.demo.show(shop.id) or {}
    assert shown["status"] in ("UPGRADE", "ACTIVE")


def told(shop: Shop) -> tuple[str, str]:
    shown = shop.stack.demo.show(shop.id) or {}
    return shown["datastore"]["version"], shown["datastore"]["version_number"]


def test_rows_survive_it_and_the_engine_is_the_one_that_is_told(shop: Shop) -> None:
    before = shop.generation()
    upgrade(shop, "newer")
    shop.serves(before + 1)
    assert told(shop) == ("newer", ENGINE)
    ((engine,),) = shop.ask("SELECT VERSION()")
    assert engine.startswith(f"{ENGINE}-")


@pytest.mark.crash
def test_an_agent_and_a_database_that_die_in_it_cost_nothing_but_time(shop: Shop) -> None:
    before = shop.generation()
    upgrade(shop, "newer still")
    eventually(lambda: shop.step("prepare"), WITHIN, "the new guest is asked")
    shop.stack.cloud("POST", f"/servers/{shop.server_id}/kill_agent")
    if (database := shop.database()) is not None:
        database.send_signal(signal.SIGKILL)
    shop.serves(before + 1)
    assert told(shop) == ("newer still", ENGINE)


@pytest.mark.parametrize("dies", [False, pytest.param(True, marks=DEATHS)])
def test_a_version_that_does_not_come_up_is_followed_by_the_one_of_before(
    shop: Shop, dies: bool
) -> None:
    """The agent dies on the way back; a function too (`dies`), which costs its lease."""
    before, version_before = shop.generation(), told(shop)
    planned = shop.stack.crash_plan / "upgrade_instance.generation_back@TransactWriteItems"
    if dies:
        planned.touch()
    upgrade(shop, "mislabelled")
    eventually(lambda: shop.step("prepare_back"), WITHIN, "the guest of before is asked")
    shop.stack.cloud("POST", f"/servers/{shop.server_id}/kill_agent")
    shop.serves(before + 2)
    assert told(shop) == version_before
    shown = shop.stack.demo.show(shop.id) or {}
    assert f"was to be of {OTHER}; nothing was started" in shown["fault"]["message"]
    assert not planned.exists()
