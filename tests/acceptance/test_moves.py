"""A volume that grows beside its server, and a server that is gone: the rows stay."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.acceptance.operating import over
from tests.acceptance.shop import WITHIN, Shop, shop_on
from tests.acceptance.stack import Stack, eventually
from tests.acceptance.test_clients import run

pytestmark = pytest.mark.crash


@pytest.fixture(scope="module")
def shop(stack: Stack) -> Iterator[Shop]:
    with shop_on(stack) as made:
        yield made


@pytest.fixture
def no_extension_in_use(stack: Stack) -> Iterator[None]:
    """A Cinder that extends no volume in a server."""
    fault = {"service": "volume", "call": "extend_volume", "mode": "not_in_use", "count": 99}
    stack.cloud("POST", "/faults", fault)
    yield
    stack.cloud("DELETE", "/faults")


def test_a_volume_grows_beside_its_server_though_agent_and_database_die(
    shop: Shop, no_extension_in_use: None
) -> None:
    run(shop.stack, "database", "instance", "resize", "volume", shop.id, "3")
    eventually(lambda: shop.step("answers"), WITHIN, "the volume is back in its server")
    shop.kill()
    assert over(shop.stack, shop.id)["status"] == "SUCCEEDED"
    shop.serves(generation=1)
    (volume,) = shop.stack.things_of(shop.id, "volumes")
    assert (volume["size"], volume["status"]) == (3, "in-use")
    assert (shop.stack.demo.show(shop.id) or {})["volume"]["size"] == 3


def test_a_server_that_somebody_has_deleted_is_made_anew_with_the_rows(shop: Shop) -> None:
    before = shop.server_id
    run(shop.stack, "server", "delete", before, user="admin")
    eventually(lambda: not shop.stack.things_of(shop.id, "servers"), WITHIN, "the server is gone")
    shop.rebuild()
    eventually(lambda: shop.step("prepare"), WITHIN, "the new guest is asked")
    shop.kill()
    assert over(shop.stack, shop.id)["status"] == "SUCCEEDED"
    assert shop.server_id != before
    shop.serves(generation=2)
