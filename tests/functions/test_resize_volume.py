"""A volume that grows: what is told and held when nobody could see its end."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from chalicelib.cloud import volumes
from chalicelib.cloud.errors import CloudAway
from chalicelib.domain.flows import RESIZE_VOLUME
from chalicelib.lifecycle import Status
from chalicelib.settings import settings
from chalicelib.store import accepting, instances, operations
from chalicelib.store.base import as_dict
from chalicelib.store.models import Instance, Operation
from functions import moves, resize_volume
from functions.outcomes import Done, Failed, Wait
from tests.support.bare import World
from tests.support.rows import WHO, new_instance
from tests.support.simulated import Stack


def resized(stack: Stack, instance_id: str, size: int) -> Instance:
    held = instances.get_instance(instance_id).held
    holds = {**held, "volumes": max(size, held["volumes"])}
    stack.accept(instance_id, RESIZE_VOLUME, {"volume_size": size}, holds=holds)
    stack.run(settings().resize_timeout_seconds)
    stack.settle()
    return instances.get_instance(instance_id)


def test_a_resize_whose_end_nobody_saw_leaves_the_database_in_use(stack: Stack) -> None:
    """The volume may have grown: its hold stays, and the next resize finds out."""
    instance, _ = stack.create()
    stack.settle()
    (disk,) = stack.volumes
    stack.refusals["volumes.get"] = CloudAway("The cloud gave no answer")
    failed = resized(stack, instance.id, 6)
    assert (failed.status, failed.volume_size, failed.held["volumes"]) == (Status.ACTIVE, 2, 6)
    assert str(failed.fault_message).endswith("Ask for the resize again.")
    stack.check_quotas()
    stack.grow(disk, 6)
    stack.refusals.clear()
    again = resized(stack, instance.id, 3)
    assert (again.status, again.volume_size, again.held["volumes"]) == (Status.ACTIVE, 6, 6)
    assert again.fault_message is None
    stack.check()


def test_what_others_have_grown_is_told_and_held(stack: Stack) -> None:
    instance, _ = stack.create()
    stack.settle()
    (disk,) = stack.volumes
    stack.grow(disk, 9)
    row = resized(stack, instance.id, 5)
    assert (row.status, row.volume_size, row.held["volumes"]) == (Status.ACTIVE, 9, 9)
    stack.check()


@pytest.mark.parametrize("busy", ["extending", "attaching", "detaching", "reserved"])
def test_a_volume_is_grown_once_cinder_is_done_with_it(
    stack: Stack, monkeypatch: pytest.MonkeyPatch, busy: str
) -> None:
    """It tells the wanted size before that."""
    instance, _ = stack.create()
    stack.settle()
    (disk,) = stack.volumes
    stack.grow(disk, 5)
    get, over = volumes.get, stack.kernel.now + 30

    def told(volume_id: str) -> volumes.Volume | None:
        found = get(volume_id)
        if found is None or stack.kernel.now >= over:
            return found
        return replace(found, status=busy)

    monkeypatch.setattr(volumes, "get", told)
    holds = {**instances.get_instance(instance.id).held, "volumes": 5}
    operation = stack.accept(instance.id, RESIZE_VOLUME, {"volume_size": 5}, holds=holds)
    stack.kernel.run(over - 5)
    row = operations.get_operation(operation.id)
    assert row is not None
    assert (row.step, as_dict(row.notes)["extend"]) == ("extend", f"the volume is {busy}")
    stack.settle()
    assert instances.get_instance(instance.id).volume_size == 5
    stack.check()


def test_a_volume_that_one_answer_denies_is_looked_for_in_the_list(
    stack: Stack, monkeypatch: pytest.MonkeyPatch
) -> None:
    instance, _ = stack.create()
    stack.settle()
    monkeypatch.setattr(volumes, "get", lambda volume_id: None)
    row = resized(stack, instance.id, 5)
    assert (row.status, row.volume_size, row.fault_message) == (Status.ACTIVE, 5, None)
    stack.check()


@pytest.fixture
def resizing(world: World) -> Operation:
    """A resize of an instance whose volume is there, as its steps are given it."""
    row = new_instance(status=Status.ACTIVE, resources={"volume_id": "volume-1"})
    row.save()
    wanted = {"volume_size": 5}
    operation = operations.operation_of(row, RESIZE_VOLUME, arguments=wanted, asked=WHO)
    assert accepting.accept(row, operation)
    operation.step, operation.started = "extend", {"extend": world.now, "answers": world.now}
    return operation


def seen(monkeypatch: pytest.MonkeyPatch, status: str = "in-use", size: int = 2) -> list[int]:
    """Cinder shows the volume so; the sizes that it is asked for."""
    asked: list[int] = []
    disk = volumes.Volume("volume-1", "v", status, owner=None, size=size)
    monkeypatch.setattr(volumes, "get", lambda _: disk)
    monkeypatch.setattr(volumes, "extend", lambda _, size: asked.append(size))
    return asked


def test_cinder_is_asked_so_often_before_the_server_is_switched_off_for_it(
    resizing: Operation, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = seen(monkeypatch)
    for already in range(resize_volume.MOST_ASKED):
        resizing.resources = {"extensions_asked": already}
        outcome = resize_volume.extend(resizing, None)
        assert isinstance(outcome, Wait)
        assert outcome.resources == {"extensions_asked": already + 1}
    resizing.resources = {"extensions_asked": resize_volume.MOST_ASKED}
    outcome = resize_volume.extend(resizing, None)
    assert isinstance(outcome, Wait)
    assert outcome.resources == {"offline": True}
    assert asked == [5] * resize_volume.MOST_ASKED


@pytest.mark.parametrize("size", [5, 6])
def test_a_volume_that_has_the_size_is_not_asked_for_it(
    resizing: Operation, monkeypatch: pytest.MonkeyPatch, size: int
) -> None:
    asked = seen(monkeypatch, size=size)
    assert resize_volume.extend(resizing, None) == Done({"volume_size": size})
    assert asked == []


def test_an_agent_has_so_long_to_come_back_with_its_server(
    resizing: Operation, world: World
) -> None:
    assert resize_volume.answers(resizing, None) == Done(), "its server was never switched off"
    resizing.resources, resizing.step = {"offline": True}, "answers"
    world.run(moves.BOOT_SECONDS - 1)
    assert isinstance(resize_volume.answers(resizing, None), Wait)
    world.run(2)
    assert isinstance(resize_volume.answers(resizing, None), Failed)


@pytest.mark.parametrize("offline", [False, True])
def test_what_nobody_sees_is_waited_for_to_its_bound_and_beyond_if_the_server_is_off(
    resizing: Operation, world: World, monkeypatch: pytest.MonkeyPatch, *, offline: bool
) -> None:
    seen(monkeypatch, status="extending")
    resizing.resources, resizing.step = {"offline": True} if offline else {}, "measure"
    resizing.started = {"measure": world.now}
    world.run_until(operations.bound_of(resizing, "measure") - 1)
    assert isinstance(resize_volume.measure(resizing, None), Wait)
    world.run(2)
    assert isinstance(resize_volume.measure(resizing, None), Wait) == offline
