"""The flow `rebuild_instance`: the data stays, one guest is heard, and each end has a way on."""

from __future__ import annotations

import base64
from typing import Any

import msgspec
import pytest

from chalicelib import errors
from chalicelib.cloud import names, servers
from chalicelib.cloud.errors import CloudAway, Refused
from chalicelib.conductor import enrolment, generations, heartbeats, reports
from chalicelib.domain.flows import REBUILD, REBUILD_STOPPED, START, STOP
from chalicelib.domain.operations import OperationAction, OperationStatus
from chalicelib.lifecycle import ServiceStatus, Status
from chalicelib.settings import settings
from chalicelib.store import commands as rows
from chalicelib.store import events, guests, instances, operations
from chalicelib.store.base import as_dict
from chalicelib.store.events import Asked
from chalicelib.store.models import Instance, Operation
from functions import rebuild_instance, replacing
from functions.outcomes import Done, Failed
from simulator.cloud.model.cloud import GUEST_IMAGE
from simulator.cloud.model.identity import stable_id
from tests.support.peer import Peer
from tests.support.resizes import MORE, resize
from tests.support.scripted import Script
from tests.support.simulated import Stack

LONG = settings().heartbeat_expiry_seconds + 1
IMAGE = {"image_id": "00000000-0000-4000-8000-00000000000b", "was": "ACTIVE"}


@pytest.fixture
def served(stack: Stack) -> Instance:
    """An instance that is ACTIVE, and an image to rebuild it on."""
    stack.cloud.image.create(
        stack.cloud.admin(), "newer", visibility="public", tags=[], image_id=IMAGE["image_id"]
    )
    instance, _ = stack.create()
    stack.settle()
    return instances.get_instance(instance.id)


def rebuilt(stack: Stack, instance: Instance, **changes: Any) -> tuple[Instance, Operation]:
    operation = stack.accept(instance.id, REBUILD, IMAGE | changes)
    stack.settle()
    stored = operations.get_operation(operation.id)
    assert stored is not None
    return instances.get_instance(instance.id), stored


def replace_disk_behind_our_back(stack: Stack) -> None:
    """Nova's operator evacuates the server; the guest that comes up has its old user data."""
    (server,) = stack.servers
    stack.cloud.compute.evacuate(server.id)
    stack.run(LONG)
    stack.settle()


def last_rebuild(instance: Instance) -> Operation | None:
    found = operations.operations_of(instance.id)
    return next((each for each in found if each.action == OperationAction.REBUILD), None)


def test_a_new_guest_on_the_new_image_goes_on_with_the_data(stack: Stack, served: Instance) -> None:
    (old,) = stack.guests.values()
    row, operation = rebuilt(stack, served)
    assert (row.status, row.generation, row.fault_message) == (Status.ACTIVE, 2, None)
    assert operation.status == OperationStatus.SUCCEEDED
    (new,) = stack.guests.values()
    assert old.runs == ["prepare", "stop_db"]
    assert new.runs == ["rebuild"]
    (server,) = servers.find(row.id)
    assert (server.id, server.image_id) == (row.resources["server_id"], IMAGE["image_id"])
    assert server.metadata[names.GENERATION_KEY] == "2"
    assert stack.inventory()["volume"] == [f"coffer-{row.id}"]
    stack.check()


def test_the_guest_that_was_replaced_changes_nothing_any_more(
    stack: Stack, served: Instance
) -> None:
    (old,) = stack.guests.values()
    forged = [old.sealed("event", "event", {"kind": "crashed", "text": "forged"})]
    forged.append(old.sealed("heartbeat", "heartbeat", {"status": "crashed"}))
    again = peer(stack).enrolment()
    row, _ = rebuilt(stack, served)
    before = instances.service_status(row.id)
    assert before is not None
    assert before.generation == 2
    reports.receive(forged[0])
    heartbeats.receive({"Records": [{"messageId": "1", "body": forged[1]}]})
    after = instances.service_status(row.id)
    assert after is not None
    assert (after.status, after.stale_reports) == (before.status, 2)
    with pytest.raises(errors.Gone):
        enrolment.enrol(again)


def test_a_silent_guest_is_not_waited_for(stack: Stack, served: Instance) -> None:
    (old,) = stack.guests.values()
    old.cut_off()
    stack.run(LONG)
    begun = stack.kernel.now
    row, _ = rebuilt(stack, served)
    assert row.status == Status.ACTIVE
    assert stack.kernel.now - begun < replacing.STOP_SECONDS


def test_a_guest_that_does_not_stop_its_database_holds_the_rebuild_up_for_a_bounded_time(
    stack: Stack, served: Instance
) -> None:
    (old,) = stack.guests.values()
    old.silent = True
    row, operation = rebuilt(stack, served)
    assert row.status == Status.ACTIVE
    took = as_dict(operation.ended)["stop_database"] - as_dict(operation.started)["stop_database"]
    assert replacing.STOP_SECONDS <= took < replacing.STOP_SECONDS * 1.5


def test_a_server_that_is_off_is_switched_on(stack: Stack, served: Instance) -> None:
    generations.expel(served.id, Asked())
    (server,) = servers.find(served.id)
    servers.stop(server.id)
    stack.run(5)
    row, _ = rebuilt(stack, served, was="ERROR")
    assert row.status == Status.ACTIVE
    (server,) = servers.find(row.id)
    assert server.status == "ACTIVE"


def test_an_expelled_guest_is_followed_by_the_one_of_a_rebuild(
    stack: Stack, served: Instance
) -> None:
    generations.expel(served.id, Asked())
    row, _ = rebuilt(stack, served, was="ERROR")
    assert (row.status, row.generation, row.fault_message) == (Status.ACTIVE, 3, None)
    stack.check()


def test_an_image_that_is_gone_changes_nothing(stack: Stack, served: Instance) -> None:
    (old,) = stack.guests.values()
    row, _ = rebuilt(stack, served, image_id="nothing")
    assert (row.status, row.generation) == (Status.ACTIVE, 1)
    assert row.fault_message == "The instance was not rebuilt: Image nothing cannot be found."
    assert old.runs == ["prepare"]


def test_a_server_that_nova_does_not_rebuild_keeps_its_guest(
    stack: Stack, served: Instance, monkeypatch: pytest.MonkeyPatch
) -> None:
    stack.stop_schedules()
    (found,) = servers.find(served.id)
    rescued = msgspec.structs.replace(found, status="RESCUE")
    monkeypatch.setattr(servers, "get", lambda _: rescued)
    row, _ = rebuilt(stack, served)
    assert (row.status, row.generation) == (Status.ACTIVE, 1)
    assert "The server is in RESCUE" in (row.fault_message or "")


def test_a_resize_that_nobody_could_take_back_is_before_the_rebuild(
    stack: Stack, served: Instance
) -> None:
    (guest,) = stack.guests.values()
    guest.failing["start_db_with_conf_changes"] = ["out of memory"]
    stack.refusals["servers.revert_resize"] = CloudAway("The cloud could not revert it")
    resize(stack, served.id)
    stack.settle()
    row = instances.get_instance(served.id)
    assert (row.status, row.held["ram"]) == (Status.ERROR, 1024)
    stack.refusals.clear()
    row, _ = rebuilt(stack, row, was="ERROR")
    assert (row.status, row.flavor_id, row.held["ram"]) == (Status.ACTIVE, "1", 512)
    stack.check()


def test_a_rebuild_tells_the_flavor_that_its_server_was_seen_with(
    stack: Stack, served: Instance
) -> None:
    """Nova went on when the resize was given up."""
    stack.spoil("compute", "resize_server", "stuck")
    resize(stack, served.id)
    stack.settle()
    row = instances.get_instance(served.id)
    stack.go_on_with_the_resize(MORE.id)
    row, _ = rebuilt(stack, row, was="ERROR")
    assert (row.status, row.flavor_id, row.flavor_ram) == (Status.ACTIVE, MORE.id, 1024)
    (new,) = stack.guests.values()
    assert [args["flavor"]["ram"] for method, args in new.told if method == "rebuild"] == [1024]
    stack.check()


def test_what_ends_before_the_guest_is_replaced_starts_the_database_again(
    stack: Stack, served: Instance
) -> None:
    (old,) = stack.guests.values()
    old.silent = True
    stack.accept(served.id, REBUILD, IMAGE)
    stack.run(5)
    assert instances.reset_status(instances.get_instance(served.id), "called back")
    old.silent = False
    stack.settle()
    row = instances.get_instance(served.id)
    assert old.runs[-1] == "restart"
    assert (row.status, row.generation) == (Status.ACTIVE, 1)
    assert "called back" in (row.fault_message or "")


def test_an_expelled_guest_is_not_asked_to_start_its_database_again(
    stack: Stack, served: Instance
) -> None:
    (old,) = stack.guests.values()
    old.silent = True
    operation = stack.accept(served.id, REBUILD, IMAGE)
    stack.run(5)
    assert instances.reset_status(instances.get_instance(served.id), "called back")
    stack.run(replacing.STOP_SECONDS * 1.5)
    assert rows.find(f"{operation.id}.start_database") is not None
    begun = stack.kernel.now
    generations.expel(served.id, Asked())
    stack.settle()
    row = instances.get_instance(served.id)
    assert (row.status, row.generation, row.operation_id) == (Status.ERROR, 2, None)
    assert stack.kernel.now - begun < settings().restart_timeout_seconds / 4


def test_a_refusal_of_nova_leaves_the_next_rebuild_as_the_way_on(
    stack: Stack, served: Instance
) -> None:
    stack.refusals["servers.rebuild"] = Refused("The image needs a larger disk")
    row, _ = rebuilt(stack, served)
    assert row.status == Status.ERROR
    assert "larger disk. The data is on the volume" in (row.fault_message or "")
    assert guests.find(row.id, 2) is None
    stack.refusals.clear()
    row, _ = rebuilt(stack, row, was="ERROR")
    assert (row.status, row.generation) == (Status.ACTIVE, 3)
    stack.check()


def test_a_rebuild_whose_answer_was_lost_is_not_asked_for_again(
    stack: Stack, served: Instance, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = []
    real = servers.rebuild

    def lost(*args: Any, **kwargs: Any) -> None:
        asked.append(kwargs["name"])
        real(*args, **kwargs)
        raise CloudAway("gateway timeout")

    monkeypatch.setattr(servers, "rebuild", lost)
    row, _ = rebuilt(stack, served)
    assert row.status == Status.ACTIVE
    assert asked == [names.server(row.id, 2, row.name)]


def test_a_guest_that_finds_no_data_fails_the_rebuild_and_says_so(
    stack: Stack, served: Instance
) -> None:
    def blank(guest: Script) -> None:
        guest.failure = "the volume holds no MariaDB data directory"

    stack.guests.on_guest = blank
    row, _ = rebuilt(stack, served)
    assert row.status == Status.ERROR
    assert "no MariaDB data directory" in (row.fault_message or "")


def test_an_expulsion_in_the_middle_leaves_nobody_in(stack: Stack, served: Instance) -> None:
    stack.guests.on_guest = lambda guest: setattr(guest, "silent", True)
    stack.accept(served.id, REBUILD, IMAGE)
    stack.run(300)
    assert guests.find(served.id, 2) is not None
    generations.expel(served.id, Asked())
    stack.settle()
    row = instances.get_instance(served.id)
    assert (row.status, row.generation, row.operation_id) == (Status.ERROR, 3, None)
    with pytest.raises(errors.Gone):
        enrolment.enrol(peer(stack).enrolment())
    stack.guests.on_guest = lambda _: None
    row, _ = rebuilt(stack, row, was="ERROR")
    assert (row.status, row.generation) == (Status.ACTIVE, 4)
    assert guests.find(served.id, 2) is None
    (queue,) = [name for name in stack.region.sqs.queues if "-guest-" in name]
    assert queue.endswith("-4")


# ------------------------------------------------------------------------------ readmission


def test_a_server_that_nova_has_rebuilt_behind_our_back_is_let_in_again(
    stack: Stack, served: Instance
) -> None:
    replace_disk_behind_our_back(stack)
    row = instances.get_instance(served.id)
    assert (row.status, row.generation, row.fault_message) == (Status.ACTIVE, 2, None)
    operation = last_rebuild(row)
    assert operation is not None
    assert as_dict(operation.resources)["image_id"] == stable_id("image", GUEST_IMAGE)
    reported = instances.service_status(row.id)
    assert reported is not None
    assert (reported.generation, reported.status) == (2, ServiceStatus.HEALTHY)
    kinds = [each.kind for each in events.events_of(row.id)]
    assert "enrolment.refused" in kinds
    assert "guest.replaced" in kinds
    stack.check()


def test_a_thief_with_the_token_of_a_guest_that_reports_gets_nothing(
    stack: Stack, served: Instance
) -> None:
    thief = peer(stack)
    with pytest.raises(errors.Conflict):
        enrolment.enrol(thief.enrolment())
    row = instances.get_instance(served.id)
    assert (row.status, row.operation_id, last_rebuild(row)) == (Status.ACTIVE, None, None)


def test_a_thief_of_a_silent_guests_token_is_told_by_a_fault_that_says_what_to_run(
    stack: Stack, served: Instance
) -> None:
    (guest,) = stack.guests.values()
    guest.cut_off()
    stack.run(LONG)
    thief = peer(stack)
    with pytest.raises(errors.Conflict):
        enrolment.enrol(thief.enrolment())
    stack.settle()
    row = instances.get_instance(served.id)
    assert (row.status, row.generation) == (Status.ACTIVE, 1)
    assert "openstack database instance rebuild" in (row.fault_message or "")
    assert "coffer expel" in (row.fault_message or "")
    assert guests.find(row.id, 1) is not None


def test_another_server_with_the_token_is_not_even_asked_about(
    stack: Stack, served: Instance
) -> None:
    (guest,) = stack.guests.values()
    guest.cut_off()
    stack.run(LONG)
    stranger = peer(stack, "server-of-a-stranger")
    with pytest.raises(errors.Conflict):
        enrolment.enrol(stranger.enrolment())
    assert last_rebuild(served) is None


def test_who_asks_again_and_again_is_heard_now_and_then(stack: Stack, served: Instance) -> None:
    thief = peer(stack)
    for _ in range(5):
        with pytest.raises(errors.Conflict):
            enrolment.enrol(thief.enrolment())
    told = [each for each in events.events_of(served.id) if each.kind == "enrolment.refused"]
    assert len(told) == 1


def peer(stack: Stack, server_id: str | None = None) -> Peer:
    """Somebody with the user data of the server, and a key of its own."""
    (server,) = stack.servers
    return Peer(server_id or server.id, base64.b64decode(server.user_data or "").decode())


def test_nothing_is_sent_to_a_guest_that_is_not_heard(stack: Stack, served: Instance) -> None:
    (guest,) = stack.guests.values()
    guest.cut_off()
    stack.run(LONG)
    _, operation = rebuilt(stack, served)
    assert rows.find(f"{operation.id}.stop_database") is None


def test_a_disk_that_nova_replaced_while_its_guest_enrolled_counts(
    stack: Stack, served: Instance
) -> None:
    """Nova had begun before, and took the disk after it: its end decides."""
    guest = guests.find(served.id, 1)
    assert guest is not None
    (server,) = stack.servers
    stack.cloud.compute.evacuate(server.id)
    stack.run(5)
    (*_, action) = stack.cloud.compute.actions(stack.cloud.admin(), server.id)
    action.started = float(guest.enrolled) - 2
    stack.run(LONG)
    stack.settle()
    assert instances.get_instance(served.id).generation == 2


def test_a_second_run_of_the_replacement_leaves_the_new_guest(
    stack: Stack, served: Instance
) -> None:
    operation = stack.accept(served.id, REBUILD, IMAGE)
    assert isinstance(rebuild_instance.new_generation(operation, None), Done)
    guests.bind(served.id, 2, "key", "server", 1)
    assert isinstance(rebuild_instance.new_generation(operation, None), Done)
    assert guests.find(served.id, 1) is None
    assert guests.find(served.id, 2) is not None


def test_a_guest_that_was_expelled_meanwhile_is_not_replaced(
    stack: Stack, served: Instance
) -> None:
    operation = stack.accept(served.id, REBUILD, IMAGE)
    for _ in range(2):
        generations.expel(served.id, Asked())
    assert isinstance(rebuild_instance.new_generation(operation, None), Failed)
    assert instances.get_instance(served.id).generation == 3


def test_a_server_of_an_instance_in_error_is_its_operators_matter(
    stack: Stack, served: Instance
) -> None:
    (guest,) = stack.guests.values()
    guest.cut_off()
    stack.run(LONG)
    stack.region.dynamodb.watchers.clear()  # no flow leads there at once
    Instance(served.id).update(actions=[Instance.status.set(Status.ERROR)])
    asker = peer(stack)
    with pytest.raises(errors.Conflict):
        enrolment.enrol(asker.enrolment())
    assert last_rebuild(served) is None


@pytest.fixture
def stopped(stack: Stack, served: Instance) -> Instance:
    stack.accept(served.id, STOP)
    stack.settle()
    row = instances.get_instance(served.id)
    assert row.status == Status.STOPPED
    return row


def rebuilt_while_stopped(
    stack: Stack, instance: Instance, **changes: Any
) -> tuple[Instance, Operation]:
    asked = IMAGE | {"was": "STOPPED"} | changes
    operation = stack.accept(instance.id, REBUILD_STOPPED, asked)
    stack.settle()
    stored = operations.get_operation(operation.id)
    assert stored is not None
    return instances.get_instance(instance.id), stored


def test_what_was_stopped_is_stopped_again_with_another_guest(
    stack: Stack, stopped: Instance
) -> None:
    heard: list[Script] = []
    stack.guests.on_guest = heard.append
    row, operation = rebuilt_while_stopped(stack, stopped)
    assert (row.status, row.generation, row.fault_message) == (Status.STOPPED, 2, None)
    assert operation.status == OperationStatus.SUCCEEDED
    (new,) = heard
    assert new.runs == ["rebuild", "stop_db"]
    (server,) = servers.find(row.id)
    assert (server.status, server.image_id) == ("SHUTOFF", IMAGE["image_id"])
    stack.check()
    stack.accept(row.id, START)
    stack.settle()
    assert instances.get_instance(row.id).status == Status.ACTIVE
    stack.check()


def test_what_is_stopped_stays_so_with_its_guest_when_nothing_was_begun(
    stack: Stack, stopped: Instance
) -> None:
    row, _ = rebuilt_while_stopped(stack, stopped, image_id="nothing")
    assert (row.status, row.generation) == (Status.STOPPED, 1)
    assert row.fault_message == "The instance is stopped: Image nothing cannot be found."
    stack.check()


def test_a_new_guest_that_does_not_stop_its_database_is_switched_off(
    stack: Stack, stopped: Instance
) -> None:
    why = "the database does not stop"
    stack.guests.on_guest = lambda guest: guest.failing.update(stop_db=[why])
    row, _ = rebuilt_while_stopped(stack, stopped)
    assert (row.status, row.generation) == (Status.STOPPED, 2)
    assert "the database does not stop" in (row.fault_message or "")
    stack.check()
    stack.accept(row.id, START)
    stack.settle()
    assert instances.get_instance(row.id).status == Status.ACTIVE


def test_a_stopped_one_whose_new_guest_fails_has_the_rebuild_as_the_way_on(
    stack: Stack, stopped: Instance
) -> None:
    why = "the volume holds no data"
    stack.guests.on_guest = lambda guest: guest.failing.update(rebuild=[why])
    row, _ = rebuilt_while_stopped(stack, stopped)
    assert row.status == Status.ERROR
    assert "rebuild the instance again" in (row.fault_message or "")
    stack.guests.on_guest = lambda _: None
    row, _ = rebuilt(stack, row, was="ERROR")
    assert (row.status, row.generation) == (Status.ACTIVE, 3)
    stack.check()
