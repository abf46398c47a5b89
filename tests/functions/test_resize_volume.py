"""A volume that grows: what is told and held when nobody could see its end."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from chalicelib.cloud import volumes
from chalicelib.cloud.errors import CloudAway
from chalicelib.domain.flows import RESIZE_VOLUME
from chalicelib.lifecycle import Status
from chalicelib.settings import settings
from chalicelib.store import instances, operations
from chalicelib.store.base import as_dict
from chalicelib.store.models import Instance
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
