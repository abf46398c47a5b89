"""Every wait of a flow has a bound, and what happens at the bound is told."""

from __future__ import annotations

import base64

import pytest

from chalicelib.bus import queues
from chalicelib.cloud.errors import CloudAway, Refused
from chalicelib.lifecycle import Status
from chalicelib.store import events, instances, operations
from chalicelib.store.models import EventRow, Operation
from simulator.aws.lambda_ import Fate
from tests.support.peer import Peer
from tests.support.simulated import Stack


def fault_of(instance_id: str) -> str:
    row = instances.get_instance(instance_id)
    assert row.status == Status.ERROR
    return str(row.fault_message)


def test_a_guest_that_never_answers_fails_the_create(stack: Stack) -> None:
    stack.guests.on_guest = lambda guest: setattr(guest, "silent", True)
    instance, operation = stack.create()
    stack.settle()
    stack.check()
    assert fault_of(instance.id) == (
        "The guest agent did not finish preparing the database in time."
    )
    assert took(operation) < 1800 + 300


def test_the_deadline_tells_that_a_guest_was_refused(stack: Stack) -> None:
    """Its disk was lost after it had enrolled: the new key is not the first one."""
    instance, operation = stack.create()
    while not any(each.memory.session for each in stack.fleet):
        stack.run(0.1)
    (server,) = stack.servers
    stack.lose_disk(server)
    stack.settle()
    stack.check()
    assert fault_of(instance.id) == (
        "The guest agent did not finish preparing the database in time: "
        f"preparing the volume; server {server.id} was refused with a key other than its first."
    )
    assert took(operation) > 1800


def another_comes_first(stack: Stack) -> None:
    """Another server takes the place of the one that is being built."""
    while not stack.servers:
        stack.run(0.1)
    (server,) = stack.servers
    Peer("extra", base64.b64decode(server.user_data or "").decode()).enrol()


def refused_at(instance_id: str) -> float:
    """When its own guest came second."""
    (told,) = refusals(instance_id)
    return float(told.created)


def refusals(instance_id: str) -> list[EventRow]:
    """The events that tell so."""
    return [each for each in events.events_of(instance_id) if each.kind == "enrolment.refused"]


def took(operation: Operation) -> float:
    ended = operations.get_operation(operation.id)
    assert ended is not None
    return ended.updated - ended.created


def updated(operation: Operation) -> float:
    return operation.created + took(operation)


@pytest.mark.parametrize("late", [True, False], ids=["before prepare", "while prepare waits"])
def test_a_create_ends_at_once_when_another_server_has_taken_its_servers_place(
    stack: Stack, late: bool
) -> None:
    instance, operation = stack.create()
    if late:
        stack.fates.append(
            lambda step: (
                Fate.THROTTLE
                if step == "create_instance.prepare" and not refusals(instance.id)
                else None
            )
        )
    another_comes_first(stack)
    stack.settle()
    stack.check()
    assert "cannot enrol: another server, extra, came first." in fault_of(instance.id)
    assert updated(operation) - refused_at(instance.id) < 30


def test_such_a_create_ends_soon_when_its_hint_is_lost(
    stack: Stack, monkeypatch: pytest.MonkeyPatch
) -> None:
    instance, operation = stack.create()
    another_comes_first(stack)
    monkeypatch.setattr(queues, "notify_task_manager", lambda operation_id: None)
    stack.settle()
    stack.check()
    assert "cannot enrol" in fault_of(instance.id)
    assert 30 < updated(operation) - refused_at(instance.id) < 200


def test_a_server_that_stays_in_build_fails_the_create(stack: Stack) -> None:
    stack.spoil("compute", "create_server", "stuck")
    instance, operation = stack.create()
    stack.settle()
    stack.check()
    assert fault_of(instance.id) == "server was not done in time: the server is in BUILD"
    assert took(operation) < 1800 + 300


def test_a_server_that_is_refused_for_quota_fails_the_create_at_once(stack: Stack) -> None:
    stack.refusals["servers.create"] = Refused("The cloud refused to create: Quota exceeded")
    instance, operation = stack.create()
    stack.settle()
    stack.check()
    assert "Quota exceeded" in fault_of(instance.id)
    assert took(operation) < 30


def test_a_volume_in_error_fails_the_create(stack: Stack) -> None:
    stack.spoil("volume", "create_volume", "error")
    instance, _ = stack.create()
    stack.settle()
    stack.check()
    assert fault_of(instance.id) == "The volume went to error."


def test_a_version_without_an_image_fails_the_create(stack: Stack) -> None:
    stack.cloud.image.images.clear()
    instance, _ = stack.create()
    stack.settle()
    stack.check()
    assert "no usable image" in fault_of(instance.id)


def test_a_guest_that_fails_gives_its_own_reason(stack: Stack) -> None:

    stack.guests.on_guest = lambda guest: setattr(guest, "failure", "no space left")
    instance, _ = stack.create()
    stack.settle()
    stack.check()
    assert "no space left" in fault_of(instance.id)


def test_a_server_that_cannot_be_deleted_fails_the_delete_and_keeps_the_quota(
    stack: Stack,
) -> None:
    instance, _ = stack.create()
    stack.settle()
    stack.refusals["servers.delete"] = Refused("The cloud refused to delete: locked")
    operation = stack.delete(instance.id)
    stack.settle()
    assert "locked" in fault_of(instance.id)
    assert "remove_server" in fault_of(instance.id)
    assert instances.get_instance(instance.id).held["instances"] == 1
    ended = operations.get_operation(operation.id)
    assert ended is not None
    assert ended.status == "FAILED"

    stack.refusals.clear()
    stack.delete(instance.id)
    stack.settle()
    stack.check()


def test_a_server_that_is_never_gone_fails_the_delete_in_time(stack: Stack) -> None:
    instance, _ = stack.create()
    stack.settle()
    stack.spoil("compute", "delete_server", "stuck", times=99)
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
        stack.refusals[call] = CloudAway(f"The cloud could not {call}: connection refused")
    instance, _operation = stack.create()
    stack.settle()
    said = fault_of(instance.id)
    assert "connection refused" in said
    assert "Not undone: remove_server, remove_volume, remove_network" in said
    assert instances.get_instance(instance.id).held["instances"] == 1
    stack.refusals.clear()
    stack.delete(instance.id)
    stack.settle()
    stack.check()


def test_an_operation_whose_executions_all_die_is_given_up(stack: Stack) -> None:
    def die(step: str) -> Fate:
        stack.kernel.call_later(0.0, stack.stop_executions)
        return Fate.FAIL

    stack.fates.append(die)
    instance, operation = stack.create()
    stack.settle()
    assert "Given up after" in fault_of(instance.id)
    assert operation.deadline < updated(operation) < operation.deadline + 300
