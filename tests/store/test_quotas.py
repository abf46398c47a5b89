"""Quota counters: exact and within their limits, whatever races with what."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chalicelib.domain.operations import OperationStatus
from chalicelib.errors import OverLimit
from chalicelib.lifecycle import Status
from chalicelib.store import accepting, lists, operations, quotas
from chalicelib.store.base import ConditionFailed, transact
from chalicelib.store.ending import Ending, end_operation
from chalicelib.store.limits import set_limits
from chalicelib.store.models import Instance, Quota
from tests.support.bare import World, fresh
from tests.support.rows import TENANT, accepted, delete_operation

GONE = Ending(OperationStatus.SUCCEEDED, undone=True)
BUILT = Ending(OperationStatus.SUCCEEDED)
RESOURCES = ("instances", "ram", "volumes")

sizes = st.fixed_dictionaries({"flavor_ram": st.integers(1, 8), "volume_size": st.integers(1, 8)})
limits = st.dictionaries(st.sampled_from(RESOURCES), st.integers(-1, 20))
moves = st.one_of(
    st.tuples(st.just("create"), sizes),
    st.tuples(st.just("two creates at once"), sizes),
    st.tuples(st.just("delete"), st.integers(0, 9)),
    st.tuples(st.just("two deletes at once"), st.integers(0, 9)),
    st.tuples(st.just("create while limits change"), limits),
    st.tuples(st.just("limits"), limits),
)


def used() -> dict[str, int]:
    found = quotas.used_of(quotas.get_quota(TENANT))
    return {name: found[name] for name in RESOURCES}


def held() -> dict[str, int]:
    rows = [row.held for row in Instance.scan() if row.status != Status.DELETED]
    return {name: sum(row[name] for row in rows) for name in RESOURCES}


def create(**size: Any) -> None:
    before, allowed = used(), quotas.limits_of(quotas.get_quota(TENANT))
    try:
        instance, operation = accepted(**size)
    except OverLimit:
        return
    end_operation(operation, BUILT)
    for name in RESOURCES:
        grew = used()[name] > before[name]
        assert not grew or allowed[name] == -1 or instance.held[name] <= allowed[name]


def delete(number: int) -> None:
    rows, _ = lists.of_tenant(TENANT, 10, None)
    if not rows:
        return
    row = rows[number % len(rows)]
    operation = delete_operation(row)
    if accepting.accept(row, operation):
        stored = operations.get_operation(operation.id)
        assert stored is not None
        end_operation(stored, GONE)
        end_operation(stored, GONE)


def play(world: World, move: str, argument: Any) -> None:
    transaction = "dynamodb.TransactWriteItems"
    match move:
        case "create":
            create(**argument)
        case "two creates at once":
            world.interruptions[transaction] = lambda: create(**argument)
            create(**argument)
        case "delete":
            delete(argument)
        case "two deletes at once":
            world.interruptions[transaction] = lambda: delete(argument)
            delete(argument)
        case "create while limits change":
            world.interruptions[transaction] = lambda: set_limits(TENANT, argument)
            create()
        case "limits":
            set_limits(TENANT, argument)
    world.interruptions.clear()


@settings(max_examples=60)
@given(st.lists(moves, max_size=12))
def test_the_counters_are_exact_and_never_grow_beyond_a_limit(
    played: list[tuple[str, Any]],
) -> None:
    with fresh() as world:
        check_counters(world, played)


def check_counters(world: World, played: list[tuple[str, Any]]) -> None:
    for move, argument in played:
        before = used()
        play(world, move, argument)
        after, allowed = used(), quotas.limits_of(quotas.get_quota(TENANT))
        assert after == held()
        for name in RESOURCES:
            assert after[name] >= 0
            assert after[name] <= max(before[name], allowed[name]) or allowed[name] == -1


def test_a_limit_below_the_use_refuses_growth_and_keeps_what_is_there(world: World) -> None:
    accepted()
    accepted()
    set_limits(TENANT, {"instances": 1})
    with pytest.raises(OverLimit, match="instances"):
        accepted()
    assert used()["instances"] == 2


def test_a_tenant_with_limits_of_its_own_keeps_the_defaults_for_the_rest(world: World) -> None:
    assert set_limits(TENANT, {"volumes": 3})["instances"] == 10
    assert quotas.limits_of(quotas.get_quota(TENANT))["volumes"] == 3


def test_limits_that_were_set_to_nothing_allow_a_create(world: World) -> None:
    set_limits(TENANT, {})
    accepted()
    set_limits(TENANT, {"instances": 2})
    accepted()
    assert used()["instances"] == 2


def test_a_limit_of_minus_one_is_none(world: World) -> None:
    set_limits(TENANT, {"volumes": -1})
    accepted(volume_size=10_000)
    assert used()["volumes"] == 10_000


def test_a_row_that_was_never_written_uses_nothing(world: World) -> None:
    assert quotas.used_of(quotas.get_quota("tenant-2")) == {
        "instances": 0,
        "ram": 0,
        "volumes": 0,
        "backups": 0,
    }
    assert list(Quota.scan()) == []


def test_units_are_not_released_twice(world: World) -> None:
    instance, _ = accepted()
    transact(lambda write: quotas.release(write, TENANT, instance.held))
    with pytest.raises(ConditionFailed):
        transact(lambda write: quotas.release(write, TENANT, instance.held))
    with pytest.raises(ConditionFailed):
        transact(lambda write: quotas.release(write, "tenant-2", instance.held))
    assert used() == {"instances": 0, "ram": 0, "volumes": 0}
