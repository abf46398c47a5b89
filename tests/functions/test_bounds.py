"""Every wait of a flow has a bound, and what happens at the bound is told."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from chalicelib.bus import queues
from chalicelib.cloud.errors import CloudAway, Refused
from chalicelib.conductor import enrolment
from chalicelib.lifecycle import Status
from chalicelib.store import instances, operations
from chalicelib.store.models import Operation
from tests.support.guest import FakeGuest
from tests.support.stack import Stack


def fault_of(instance_id: str) -> str:
    row = instances.get_instance(instance_id)
    assert row.status == Status.ERROR
    return str(row.fault_message)


def test_a_guest_that_never_answers_fails_the_create(stack: Stack) -> None:
    stack.on_guest = lambda guest: setattr(guest, "silent", True)
    instance, operation = stack.create()
    stack.settle()
    stack.check()
    assert fault_of(instance.id) == (
        "The guest agent did not finish preparing the database in time."
    )
    assert stack.world.now - operation.created < 1800 + 300


def test_the_deadline_tells_that_a_guest_was_refused(stack: Stack) -> None:
    """Its disk was lost after it had enrolled: the new key is not the first one."""

    def lose_the_disk(guest: FakeGuest) -> None:
        guest.tick()
        guest.admission, guest.key = None, Ed25519PrivateKey.from_private_bytes(b"k" * 32)
        guest.next_try = stack.world.now

    stack.on_guest = lose_the_disk
    instance, operation = stack.create()
    stack.settle()
    stack.check()
    (server,) = re.findall(r"server-\d+", fault_of(instance.id))
    assert fault_of(instance.id) == (
        "The guest agent did not finish preparing the database in time: "
        f"server {server} was refused with a key other than its first."
    )
    assert stack.world.now - operation.created > 1800


def coming_second(stack: Stack, seconds: float) -> Callable[[FakeGuest], None]:
    """Another server takes a guest's place; the guest itself asks that much later."""

    def come_second(guest: FakeGuest) -> None:
        enrolment.enrol(guest.enrolment(server_id="extra"))
        guest.key = Ed25519PrivateKey.from_private_bytes(b"k" * 32)
        guest.next_try = stack.world.now + seconds

    return come_second


def took(operation: Operation) -> float:
    ended = operations.get_operation(operation.id)
    assert ended is not None
    return ended.updated - ended.created


@pytest.mark.parametrize("seconds", [0, 10], ids=["before prepare", "while prepare waits"])
def test_a_create_ends_at_once_when_another_server_has_taken_its_servers_place(
    stack: Stack, seconds: int
) -> None:
    stack.on_guest = coming_second(stack, seconds)
    instance, operation = stack.create()
    stack.settle()
    stack.check()
    assert "cannot enrol: another server, extra, came first." in fault_of(instance.id)
    assert took(operation) < 30


def test_such_a_create_ends_soon_when_its_hint_is_lost(
    stack: Stack, monkeypatch: pytest.MonkeyPatch
) -> None:
    stack.on_guest = coming_second(stack, 10)
    instance, operation = stack.create()
    stack.settle(until=stack.world.now + 5)
    monkeypatch.setattr(queues, "notify_task_manager", lambda operation_id: None)
    stack.settle()
    stack.check()
    assert "cannot enrol" in fault_of(instance.id)
    assert 60 < took(operation) < 200


def test_a_server_that_stays_in_build_fails_the_create(stack: Stack) -> None:
    stack.cloud.servers_become = "BUILD"
    instance, operation = stack.create()
    stack.settle()
    stack.check()
    assert fault_of(instance.id) == "server was not done in time: the server is in BUILD"
    assert stack.world.now - operation.created < 1800 + 300


def test_a_server_that_is_refused_for_quota_fails_the_create_at_once(stack: Stack) -> None:
    stack.cloud.refusals["servers.create"] = Refused("The cloud refused to create: Quota exceeded")
    instance, operation = stack.create()
    stack.settle()
    stack.check()
    assert "Quota exceeded" in fault_of(instance.id)
    assert stack.world.now - operation.created < 30


def test_a_volume_in_error_fails_the_create(stack: Stack) -> None:
    stack.cloud.volumes_become = "error"
    instance, _ = stack.create()
    stack.settle()
    stack.check()
    assert fault_of(instance.id) == "The volume went to error."


def test_a_version_without_an_image_fails_the_create(stack: Stack) -> None:
    stack.cloud.image = None
    instance, _ = stack.create()
    stack.settle()
    stack.check()
    assert "no usable image" in fault_of(instance.id)


def test_a_guest_that_fails_gives_its_own_reason(stack: Stack) -> None:
    from chalicelib.bus.envelope import Fault

    stack.on_guest = lambda guest: setattr(guest, "failure", Fault("GuestError", "no space left"))
    instance, _ = stack.create()
    stack.settle()
    stack.check()
    assert "no space left" in fault_of(instance.id)


def test_a_server_that_cannot_be_deleted_fails_the_delete_and_keeps_the_quota(
    stack: Stack,
) -> None:
    instance, _ = stack.create()
    stack.settle()
    stack.cloud.refusals["servers.delete"] = Refused("The cloud refused to delete: locked")
    operation = stack.delete(instance.id)
    stack.settle()
    assert "locked" in fault_of(instance.id)
    assert "remove_server" in fault_of(instance.id)
    assert instances.get_instance(instance.id).held["instances"] == 1
    ended = operations.get_operation(operation.id)
    assert ended is not None
    assert ended.status == "FAILED"

    stack.cloud.refusals.clear()
    stack.delete(instance.id)
    stack.settle()
    stack.check()


def test_a_server_that_is_never_gone_fails_the_delete_in_time(stack: Stack) -> None:
    instance, _ = stack.create()
    stack.settle()
    stack.cloud._sweep = lambda: None  # type: ignore[method-assign]
    operation = stack.delete(instance.id)
    stack.settle()
    assert "waiting for the server to be gone" in fault_of(instance.id)
    ended = operations.get_operation(operation.id)
    assert ended is not None
    assert ended.status == "FAILED"
    assert ended.updated - ended.created < 600 + 120


def test_a_cloud_that_is_away_for_long_leaves_an_error_that_says_what_is_left(
    stack: Stack,
) -> None:
    for call in ("servers.find", "volumes.find", "network.find_ports"):
        stack.cloud.refusals[call] = CloudAway(f"The cloud could not {call}: connection refused")
    instance, _operation = stack.create()
    stack.settle()
    said = fault_of(instance.id)
    assert "connection refused" in said
    assert "Not undone: remove_server, remove_volume, remove_network" in said
    assert instances.get_instance(instance.id).held["instances"] == 1
    stack.cloud.refusals.clear()
    stack.delete(instance.id)
    stack.settle()
    stack.check()


def test_an_operation_whose_executions_all_die_is_given_up(stack: Stack) -> None:
    def die(arn: str, payload: dict[str, object]) -> dict[str, object]:
        for name in list(stack.machines.executions):
            stack.machines.stop(name)
        raise RuntimeError("aborted by an operator")

    stack.machines.invoke = die
    instance, operation = stack.create()
    stack.settle()
    assert "Given up after" in fault_of(instance.id)
    assert operation.deadline < stack.world.now < operation.deadline + 300
