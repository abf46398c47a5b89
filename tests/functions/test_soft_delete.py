"""A Nova that keeps deleted servers, with their volumes and ports, hinders nobody."""

from __future__ import annotations

import pytest

from chalicelib.lifecycle import Status
from chalicelib.store import instances
from simulator.cloud.model.server import Server
from tests.support.simulated import Stack

DAY = 86400.0


@pytest.fixture
def keeping(stack: Stack) -> Stack:
    stack.cloud.keep_deleted(DAY)
    return stack


def running(stack: Stack) -> tuple[str, Server]:
    instance, _ = stack.create()
    stack.settle()
    (server,) = stack.cloud.compute.servers.values()
    return instance.id, server


def status_of(instance_id: str) -> str:
    row = instances.find_instance(instance_id)
    assert row is not None
    return str(row.status)


def deleted_by_hand(stack: Stack, server: Server) -> None:
    stack.cloud.compute.delete(stack.cloud.admin(), server.id)
    stack.run(5)
    assert server.status == "SOFT_DELETED"


def test_a_delete_leaves_nothing(keeping: Stack) -> None:
    instance_id, _ = running(keeping)
    keeping.delete(instance_id)
    keeping.settle()
    keeping.check()
    assert status_of(instance_id) == Status.DELETED
    assert not keeping.cloud.compute.servers
    assert not keeping.cloud.volume.volumes


def test_the_undoing_of_a_create_leaves_nothing(keeping: Stack) -> None:
    keeping.guests.on_guest = lambda guest: setattr(guest, "failure", "no space left")
    instance, _ = keeping.create()
    keeping.settle()
    keeping.check()
    assert instances.get_instance(instance.id).status == Status.ERROR
    assert not keeping.cloud.compute.servers
    assert not keeping.cloud.volume.volumes


def test_a_delete_after_somebody_deleted_the_server_leaves_nothing(keeping: Stack) -> None:
    instance_id, server = running(keeping)
    deleted_by_hand(keeping, server)
    keeping.delete(instance_id)
    keeping.settle()
    keeping.check()
    assert status_of(instance_id) == Status.DELETED
    assert not keeping.cloud.compute.servers
