"""A rollout on a running stack: guests die under it, rows and servers' groups stay."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from tests.acceptance.shop import WITHIN, Shop, shop_on
from tests.acceptance.stack import Stack, eventually
from tests.acceptance.test_clients import run

pytestmark = pytest.mark.crash


@pytest.fixture(scope="module")
def shops(stack: Stack) -> Iterator[list[Shop]]:
    """Three of a version, the first of them beside its own kind."""
    with ExitStack() as made:
        first = made.enter_context(shop_on(stack, locality="soft-anti-affinity"))
        yield [first, *(made.enter_context(shop_on(stack)) for _ in range(2))]


def test_a_rollout_rebuilds_them_all_though_guests_and_functions_die(
    stack: Stack, shops: list[Shop]
) -> None:
    image = shops[0].image_id
    version = (stack.demo.show(shops[0].id) or {})["datastore"]["version"]
    listed = run(stack, "datastore", "version", "list", "mariadb")
    (version_id,) = (each["ID"] for each in listed if each["Name"] == version)
    begun = stack.admin.request(
        "POST",
        "/mgmt/rollouts",
        {"rollout": {"image_id": image, "datastore_version": version_id, "at_once": 2}},
    )
    assert begun.status_code == 202, begun.text
    path = f"/mgmt/rollouts/{begun.json()['rollout']['id']}"
    planned = stack.crash_plan / "roll_out.rebuild@TransactWriteItems"
    planned.touch()
    under_way = eventually(
        lambda: next((shop for shop in shops if shop.step("prepare")), None),
        WITHIN,
        "one of them waits for its new guest",
    )
    under_way.kill()

    def ended() -> dict[str, object] | None:
        rollout: dict[str, object] = stack.admin.request("GET", path).json()["rollout"]
        return None if rollout["status"] == "RUNNING" else rollout

    rollout = eventually(ended, 3 * WITHIN, "the rollout ends")
    counts = tuple(rollout[name] for name in ("status", "rebuilt", "failed", "skipped"))
    assert counts == ("COMPLETED", 3, 0, 0), rollout
    assert not planned.exists()
    for shop in shops:
        shop.serves(generation=2)


def test_a_locality_is_a_group_of_the_servers_that_is_gone_with_it(
    stack: Stack, shops: list[Shop]
) -> None:
    groups = run(stack, "server", "group", "list", "--all-projects", user="admin")
    assert [each["Policy"] for each in groups if shops[0].id in each["Name"]] == [
        "soft-anti-affinity"
    ]
    alone = stack.demo.created("alone", locality="affinity")
    stack.demo.healthy(alone)
    stack.demo.delete(alone)
    stack.demo.wait(alone, "GONE")
    groups = run(stack, "server", "group", "list", "--all-projects", user="admin")
    assert not [each for each in groups if alone in each["Name"]]
