"""What a real OpenStack alone shows: every flow with its time, a resize that Nova takes back."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Final

import pytest

from tests.acceptance.operating import OPERATIONS, begin, over
from tests.acceptance.shop import Shop, shop_on
from tests.acceptance.stack import Stack, eventually
from tests.bench.tables import console, table
from tests.openstack.stack import RealStack

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


def test_a_resize_that_is_cancelled_is_taken_back_by_nova(shop: Shop) -> None:
    """While the server waits for its confirmation on the other host, or is on its way there."""
    stack = shop.stack
    shown = stack.demo.healthy(shop.id)
    (before,) = stack.things_of(shop.id, "servers")
    begin(stack, shop.id, "resize_flavor", shown)
    eventually(lambda: _status(shop) in ("RESIZE", "VERIFY_RESIZE"), WITHIN, "Nova is at it")
    newest = stack.demo.operations(shop.id)[0]["id"]
    answer = stack.demo.request("DELETE", f"/instances/{shop.id}/operations/{newest}")
    assert answer.status_code == 202, answer.text
    assert over(stack, shop.id)["status"] == "CANCELLED"
    (after,) = stack.things_of(shop.id, "servers")
    same = ("id", "host", "flavor")
    assert {name: after[name] for name in same} == {name: before[name] for name in same}
    assert after["status"] == "ACTIVE"
    assert "revertResize" in _actions(shop)
    shop.serves(generation=shop.generation())
    again = stack.demo.show(shop.id) or {}
    assert again["flavor"] == shown["flavor"]


def _status(shop: Shop) -> str:
    (server,) = shop.stack.things_of(shop.id, "servers")
    return str(server["status"])


def _actions(shop: Shop) -> set[str]:
    """What Nova was asked to do to the server."""
    assert isinstance(shop.stack, RealStack)
    compute = shop.stack.administrator.compute
    return {each.action for each in compute.server_actions(shop.server_id)}
