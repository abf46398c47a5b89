"""Configuration groups on a real MariaDB, by unmodified clients: the engine says what it holds."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import pytest

from tests.acceptance.groups import GROUP, WITHIN, applied, change
from tests.acceptance.operating import ask
from tests.acceptance.shop import Shop, shop_on
from tests.acceptance.stack import Stack, eventually
from tests.acceptance.test_clients import run

LIVE = {"max_connections": 77}
AT_A_START = {"innodb_sort_buffer_size": 2**21}


@pytest.fixture(scope="module")
def shops(stack: Stack) -> Iterator[tuple[Shop, Shop]]:
    with ExitStack() as both:
        yield both.enter_context(shop_on(stack)), both.enter_context(shop_on(stack))


def variable(shop: Shop, name: str) -> Any:
    """What the engine itself says of a parameter."""
    ((value,),) = shop.ask(f"SELECT @@GLOBAL.{name}")
    return value


def says(shop: Shop, **wanted: Any) -> Callable[[], bool]:
    """Whether the engine holds these values; what does not answer says nothing."""

    def look() -> bool:
        try:
            return all(variable(shop, name) == value for name, value in wanted.items())
        except Exception:  # noqa: BLE001 - it is being restarted
            return False

    return look


def idle(stack: Stack, instance_id: str) -> dict[str, Any]:
    """The instance, when nothing is under way."""

    def look() -> dict[str, Any] | None:
        live = [
            each
            for each in stack.demo.operations(instance_id)
            if each["status"] not in ("SUCCEEDED", "FAILED", "CANCELLED")
        ]
        return stack.demo.show(instance_id) if not live else None

    return eventually(look, WITHIN, "nothing is under way")


def test_a_group_reaches_its_instances_and_outlives_what_is_done_to_them(
    stack: Stack, shops: tuple[Shop, Shop]
) -> None:
    first, _ = shops
    listed = run(stack, *GROUP, "parameter", "list", "10.11", "--datastore", "mariadb")
    assert "max_connections" in {each["Name"] for each in listed}
    named = ("10.11", "max_connections", "--datastore", "mariadb")
    assert run(stack, *GROUP, "parameter", "show", *named)["restart_required"] is False
    assert "max_connections" in run(stack, *GROUP, "default", first.id)
    run(
        stack, *GROUP, "create", "many", json.dumps(LIVE),
        "--datastore", "mariadb", "--datastore-version", "10.11",
    )  # fmt: skip
    shown = run(stack, *GROUP, "show", "many")
    group = shown["id"]
    assert json.loads(shown["values"]) == LIVE
    for shop in shops:
        run(stack, *GROUP, "attach", shop.id, group)
        eventually(says(shop, **LIVE), WITHIN, "a live value is held")
        assert idle(stack, shop.id)["status"] == "ACTIVE"
    assert {each["ID"] for each in run(stack, *GROUP, "instances", group)} == {
        shop.id for shop in shops
    }

    run(stack, *GROUP, "parameter", "set", group, json.dumps(AT_A_START))
    applied(stack, group)
    for shop in shops:
        assert stack.demo.wait(shop.id, "RESTART_REQUIRED", within=WITHIN)
        assert variable(shop, "innodb_sort_buffer_size") == 2**20
    run(stack, "database", "instance", "restart", first.id)
    assert stack.demo.healthy(first.id)["status"] == "ACTIVE"
    assert says(first, **LIVE, **AT_A_START)()

    run(stack, "database", "instance", "resize", "flavor", first.id, "4")
    stack.demo.healthy(first.id)
    eventually(says(first, **LIVE, **AT_A_START), WITHIN, "held after a resize")
    first.rebuild()
    stack.demo.healthy(first.id)
    eventually(says(first, **LIVE, **AT_A_START), WITHIN, "held after a rebuild")


def test_a_replacement_reaches_both_and_what_is_taken_away_is_gone(
    stack: Stack, shops: tuple[Shop, Shop]
) -> None:
    first, _ = shops
    (group,) = (each["ID"] for each in run(stack, *GROUP, "list") if each["Name"] == "many")
    run(stack, *GROUP, "set", group, json.dumps({"max_connections": 88}))
    assert applied(stack, group)["application"]["done"] == len(shops)
    assert all(variable(shop, "max_connections") == 88 for shop in shops)
    run(stack, *GROUP, "detach", first.id)
    idle(stack, first.id)
    assert variable(first, "max_connections") != 88


def test_what_is_changed_while_an_instance_is_off_is_held_from_its_start(
    stack: Stack, shops: tuple[Shop, Shop]
) -> None:
    _, second = shops
    group = idle(stack, second.id)["configuration"]["id"]
    ask(stack, second.id, {"stop": {}})
    stack.demo.wait(second.id, "STOPPED")
    change(stack, group, max_connections=66)
    assert applied(stack, group)["application"]["passed_over_instances"] == [second.id]
    ask(stack, second.id, {"start": {}})
    assert stack.demo.healthy(second.id)["status"] == "ACTIVE"
    assert says(second, max_connections=66)()


def test_a_group_may_go_when_its_last_instance_has_gone(
    stack: Stack, shops: tuple[Shop, Shop]
) -> None:
    _, second = shops
    (group,) = (each["ID"] for each in run(stack, *GROUP, "list"))
    stack.demo.delete(second.id)
    stack.demo.wait(second.id, "GONE")
    run(stack, *GROUP, "delete", group)
    assert run(stack, *GROUP, "list") == []
