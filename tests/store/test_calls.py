"""Slots for synchronous calls: bounded for each instance and tenant, and never leaked for good."""

from __future__ import annotations

import pytest

from chalicelib.errors import OverLimit
from chalicelib.settings import settings
from chalicelib.store import calls
from chalicelib.store.base import as_dict
from chalicelib.store.models import CallsRow, Instance
from tests.support.bare import Fault, World
from tests.support.rows import TENANT, new_instance

HERE = settings().calls_per_instance
ALL = settings().calls_per_tenant


def instances_of(count: int) -> list[Instance]:
    return [new_instance() for _ in range(count)]


def held() -> int:
    return len(as_dict(CallsRow.get(TENANT).slots))


def fill(world: World, instance: Instance, count: int) -> None:
    for number in range(count):
        calls.take(instance, f"{instance.id}.{number}", world.now + 20)


def test_an_instance_has_so_many_calls_and_no_more(world: World) -> None:
    instance, neighbour = instances_of(2)
    fill(world, instance, HERE)
    with pytest.raises(OverLimit, match=instance.id) as refused:
        calls.take(instance, "one more", world.now + 20)
    assert refused.value.retry_after_seconds == 20
    calls.take(neighbour, "of a neighbour", world.now + 20)


def test_a_tenant_has_so_many_calls_and_no_more(world: World) -> None:
    for instance in instances_of(ALL // HERE):
        fill(world, instance, HERE)
    (late,) = instances_of(1)
    with pytest.raises(OverLimit, match="project"):
        calls.take(late, "one more", world.now + 20)
    late.tenant_id = "another tenant"
    calls.take(late, "of another tenant", world.now + 20)


def test_a_slot_that_was_given_back_is_free(world: World) -> None:
    (instance,) = instances_of(1)
    for number in range(3 * ALL):
        calls.take(instance, f"call-{number}", world.now + 20)
        calls.give_back(instance, f"call-{number}")
    assert held() == 0


def test_a_slot_whose_reply_was_lost_is_the_callers(world: World) -> None:
    """The write is sent again and fails on the version that the first one has written."""
    (instance,) = instances_of(1)
    fill(world, instance, HERE - 1)
    now = len(world.log)
    world.faults = dict.fromkeys(range(now, now + 20), Fault.REPLY_LOST)
    calls.take(instance, "the last", world.now + 20)
    assert held() == HERE


def test_the_slots_of_a_process_that_died_run_out_with_their_calls(world: World) -> None:
    (instance,) = instances_of(1)
    fill(world, instance, HERE)
    world.run(20)
    calls.take(instance, "after them", world.now + 20)
    assert held() == 1


def test_two_that_want_the_last_slot_do_not_both_get_it(world: World) -> None:
    (instance,) = instances_of(1)
    fill(world, instance, HERE - 1)
    world.interruptions["dynamodb.UpdateItem"] = lambda: calls.take(
        instance, "first", world.now + 20
    )
    with pytest.raises(OverLimit):
        calls.take(instance, "second", world.now + 20)
    assert held() == HERE


def test_two_first_calls_of_a_tenant_both_have_a_slot(world: World) -> None:
    (instance,) = instances_of(1)
    world.interruptions["dynamodb.UpdateItem"] = lambda: calls.take(
        instance, "first", world.now + 20
    )
    calls.take(instance, "second", world.now + 20)
    assert held() == 2


def test_a_slot_that_is_given_back_while_another_is_taken_stays_free(world: World) -> None:
    (instance,) = instances_of(1)
    fill(world, instance, 1)
    world.interruptions["dynamodb.UpdateItem"] = lambda: calls.give_back(
        instance, f"{instance.id}.0"
    )
    calls.take(instance, "next", world.now + 20)
    assert held() == 1


def test_a_slot_that_cannot_be_given_back_does_not_fail_the_call(world: World) -> None:
    (instance,) = instances_of(1)
    calls.take(instance, "call", world.now + 20)
    world.faults[len(world.log) + 1] = Fault.REFUSED
    calls.give_back(instance, "call")
    assert held() == 1
