"""What a real OpenStack alone shows: every flow with its time."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Final

import pytest

from tests.acceptance.operating import OPERATIONS, begin, over
from tests.acceptance.shop import Shop, shop_on
from tests.acceptance.stack import Stack, eventually
from tests.bench.tables import console, table

pytestmark = pytest.mark.timeout(1800)

WITHIN: Final = 600


@pytest.fixture(scope="module")
def shop(stack: Stack) -> Iterator[Shop]:
    stack.grant("coffer", "manager")  # what Nova wants of who migrates
    with shop_on(stack) as made:
        yield made


def test_every_flow_and_its_time(shop: Shop) -> None:
    """Each from the request to the operation's end, as its tenant sees it, once."""
    shown = table("On a real OpenStack, one after the other (seconds)", "", "asked to ended")
    for flow in OPERATIONS:
        instance = shop.stack.demo.healthy(shop.id) if flow != "start_instance" else {}
        started = time.monotonic()
        begin(shop.stack, shop.id, flow, instance)
        ended = over(shop.stack, shop.id)
        shown.add_row(flow, f"{time.monotonic() - started:.1f}")
        assert ended["status"] == "SUCCEEDED", (flow, ended)
    console.print(shown)
    shop.stack.demo.healthy(shop.id)
    assert eventually(shop.rows, WITHIN, "the rows") == [(1,), (2,), (3,)]
