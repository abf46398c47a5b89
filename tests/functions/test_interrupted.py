"""Every flow of a running instance, with an operator or its owner coming between at each second."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from chalicelib.domain.flows import REBOOT, RESIZE_VOLUME, RESTART, START, STOP, Flow
from chalicelib.lifecycle import Status
from chalicelib.store import instances
from chalicelib.store.models import TABLES
from tests.support.stack import Stack
from tests.support.world import World

SECONDS = range(10)

Interruption = Callable[[Stack, str], object]


def reset(stack: Stack, instance_id: str) -> None:
    assert instances.reset_status(instances.get_instance(instance_id), "reset by an operator")


def delete(stack: Stack, instance_id: str) -> None:
    stack.delete(instance_id)


def force_delete(stack: Stack, instance_id: str) -> None:
    stack.force_delete(instance_id)


def begun(stack: Stack, flow: Flow) -> str:
    instance, _ = stack.create()
    stack.settle()
    if flow is START:
        stack.accept(instance.id, STOP)
        stack.settle()
    if flow is RESIZE_VOLUME:
        holds = {**instances.get_instance(instance.id).held, "volumes": 5}
        stack.accept(instance.id, flow, {"volume_size": 5}, holds=holds)
    else:
        stack.accept(instance.id, flow)
    return instance.id


@pytest.mark.parametrize("interrupt", [reset, delete, force_delete], ids=lambda each: each.__name__)
@pytest.mark.parametrize(
    "flow", [RESTART, RESIZE_VOLUME, STOP, START, REBOOT], ids=lambda each: each.action
)
def test_a_flow_ends_at_rest_whenever_somebody_comes_between(
    world: World, monkeypatch: pytest.MonkeyPatch, flow: Flow, interrupt: Interruption
) -> None:
    for second in SECONDS:
        world.__init__(TABLES)  # type: ignore[misc]
        stack = Stack(world, monkeypatch)
        instance_id = begun(stack, flow)
        stack.settle(until=world.now + second)
        interrupt(stack, instance_id)
        stack.settle()
        stack.check()
        row = instances.find_instance(instance_id)
        assert row is not None
        ends = {Status.ACTIVE, Status.STOPPED} if interrupt is reset else {Status.DELETED}
        assert row.status in ends, f"after {second} s: {row.status}, {row.fault_message}"
