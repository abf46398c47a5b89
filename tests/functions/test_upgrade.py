"""The flow `upgrade_instance`: the new version with the data, or the one of before with them."""

from __future__ import annotations

from functools import partial
from typing import Any

import pytest

from chalicelib import aws
from chalicelib.cloud import names, servers
from chalicelib.cloud.errors import Refused
from chalicelib.conductor import generations, heartbeats
from chalicelib.domain.flows import REBUILD, UPGRADE
from chalicelib.domain.operations import OperationStatus
from chalicelib.lifecycle import ServiceStatus, Status
from chalicelib.settings import settings
from chalicelib.store import commands as rows
from chalicelib.store import guests, instances, operations, subjects
from chalicelib.store.base import as_dict
from chalicelib.store.events import Asked
from chalicelib.store.models import Command, Instance, Operation
from functions import replacing, upgrade_instance
from functions.outcomes import Done, Failed, Outcome, Wait
from simulator.aws.lambda_ import Fate
from simulator.cloud.model.cloud import GUEST_IMAGE
from simulator.cloud.model.identity import stable_id
from simulator.fleet.engines import USUAL, Engine
from tests.support.scripted import Script
from tests.support.simulated import VERSION, Stack

BROKEN = "the database ended with exit code 1, while it started"
SEVENTH = "00000000-0000-4000-8000-000000000007"


@pytest.fixture
def served(stack: Stack) -> Instance:
    """An instance that is ACTIVE."""
    instance, _ = stack.create()
    stack.settle()
    return instances.get_instance(instance.id)


def begun(stack: Stack, instance: Instance, **version: Any) -> Operation:
    before = {
        "id": instance.datastore_version_id,
        "name": instance.datastore_version,
        "number": instance.datastore_version_number,
        "image": instance.image,
    }
    return stack.accept(instance.id, UPGRADE, {"version": VERSION | version, "before": before})


def upgraded(stack: Stack, instance: Instance, **version: Any) -> tuple[Instance, Operation]:
    operation = begun(stack, instance, **version)
    stack.settle()
    stored = operations.get_operation(operation.id)
    assert stored is not None
    return instances.get_instance(instance.id), stored


def told(row: Instance) -> tuple[str, str, str]:
    return row.datastore_version_id, row.datastore_version, row.datastore_version_number


def failing(stack: Stack, **faults: str) -> None:
    """The guests to come fail what is named, once each."""

    def fail(guest: Script) -> None:
        guest.failing = {name: [fault] for name, fault in faults.items()}

    stack.guests.on_guest = fail


def make_seventh(stack: Stack, engine: Engine) -> None:
    """A newer image with the tag of the version of before."""
    stack.fleet.around.engines[SEVENTH, "mariadb"] = engine
    stack.run(60)
    stack.cloud.image.create(
        stack.cloud.admin(), "seventh", visibility="public", tags=["coffer"], image_id=SEVENTH
    )


def image_of(row: Instance) -> str | None:
    (server,) = servers.find(row.id)
    return server.image_id


def test_the_new_version_goes_on_with_the_data(stack: Stack, served: Instance) -> None:
    (old,) = stack.guests.values()
    row, operation = upgraded(stack, served)
    assert (row.status, row.generation, row.fault_message) == (Status.ACTIVE, 2, None)
    assert told(row) == (VERSION["id"], "10.11.9", "10.11.9")
    assert row.image == VERSION["image"]
    assert operation.status == OperationStatus.SUCCEEDED
    (new,) = stack.guests.values()
    assert (old.runs, new.runs) == (["prepare", "stop_db"], ["upgrade"])
    ((_, asked),) = new.told
    assert (asked["number"], asked["datastore"]["version"]) == ("10.11.9", "10.11.9")
    assert new.guest.agent_file is not None
    assert new.guest.agent_file.datastore_version == "10.11.9"
    assert image_of(row) == VERSION["image"]["id"]
    assert stack.inventory()["volume"] == [f"coffer-{row.id}"]
    stack.check()


def test_an_engine_that_does_not_start_is_followed_by_the_one_of_before(
    stack: Stack, served: Instance
) -> None:
    failing(stack, upgrade=BROKEN)
    before = image_of(served)
    row, operation = upgraded(stack, served)
    assert (row.status, row.generation) == (Status.ACTIVE, 3)
    assert (told(row), row.image) == (told(served), served.image)
    assert operation.status == OperationStatus.FAILED
    assert row.fault_message == (
        "The instance has its former version: The new version failed to bring the database up: "
        f"{BROKEN}"
    )
    (last,) = stack.guests.values()
    assert last.runs == ["rebuild"]
    assert "number" not in last.told[0][1], "what ran before runs again, whatever it is called"
    assert (image_of(row), guests.find(row.id, 2)) == (before, None)
    stack.check()
    stack.guests.on_guest = lambda _: None
    row, _ = upgraded(stack, row)
    assert (row.status, row.generation, row.fault_message) == (Status.ACTIVE, 4, None)
    stack.check()


def test_a_row_that_is_lost_meanwhile_comes_back_with_the_version_of_before(
    stack: Stack, served: Instance
) -> None:
    """The record in the cloud is of the new version already, which then does not start."""
    failing(stack, upgrade=BROKEN)
    operation = begun(stack, served)
    while "server" not in as_dict(Operation.get(operation.id).ended):
        stack.run(0.1)
    stack.invariants.hub.restoring = True
    Instance(served.id).delete()
    assert stack.job("adopt")["told"] == [f"{served.id}: {served.name} of {served.tenant_id}"]
    row = instances.get_instance(served.id)
    assert (told(row), row.image, row.status) == (told(served), served.image, Status.UPGRADE)
    stack.settle()
    row = instances.get_instance(served.id)
    assert (told(row), row.image, row.status) == (told(served), served.image, Status.ACTIVE)
    assert row.generation == 3
    stack.check()


def test_a_new_guest_that_is_never_heard_is_given_up(stack: Stack, served: Instance) -> None:
    """The guest of the way back is another one, and is heard."""
    seen: list[Script] = []

    def mute_the_first(guest: Script) -> None:
        seen.append(guest)
        guest.silent = len(seen) == 1

    stack.guests.on_guest = mute_the_first
    row, _ = upgraded(stack, served)
    assert (row.status, row.generation, told(row)) == (Status.ACTIVE, 3, told(served))
    assert "did not bring the database up in time" in (row.fault_message or "")
    stack.check()


@pytest.mark.parametrize(
    "image", [{"id": "nothing", "tags": []}, {"id": None, "tags": []}, {"id": None}]
)
def test_a_version_without_its_image_changes_nothing(
    stack: Stack, served: Instance, image: dict[str, Any]
) -> None:
    (old,) = stack.guests.values()
    row, _ = upgraded(stack, served, image=image)
    assert (row.status, row.generation, told(row)) == (Status.ACTIVE, 1, told(served))
    assert old.runs == ["prepare"]
    assert "image" in (row.fault_message or "").lower()


def test_the_newest_image_with_the_tags_of_the_version_is_taken(
    stack: Stack, served: Instance
) -> None:
    make_seventh(stack, Engine(VERSION["number"]))
    row, _ = upgraded(stack, served, image={"id": None, "tags": ["coffer"]})
    assert (row.status, image_of(row)) == (Status.ACTIVE, SEVENTH)


def test_an_image_that_is_gone_has_the_one_of_its_version_for_the_way_back(
    stack: Stack, served: Instance
) -> None:
    make_seventh(stack, USUAL["mariadb"])
    del stack.cloud.image.images[stable_id("image", GUEST_IMAGE)]
    failing(stack, upgrade=BROKEN)
    row, _ = upgraded(stack, served)
    assert (row.status, image_of(row)) == (Status.ACTIVE, SEVENTH)


def test_nothing_begins_without_a_way_back(stack: Stack, served: Instance) -> None:
    del stack.cloud.image.images[stable_id("image", GUEST_IMAGE)]
    row, _ = upgraded(stack, served)
    assert (row.status, row.generation) == (Status.ACTIVE, 1)
    assert "there would be no way back" in (row.fault_message or "")


def test_a_failure_on_both_ways_says_what_to_do(stack: Stack, served: Instance) -> None:
    failing(stack, upgrade=BROKEN, rebuild=BROKEN)
    row, _ = upgraded(stack, served)
    assert (row.status, told(row)) == (Status.ERROR, told(served))
    said = row.fault_message or ""
    assert "Not undone: prepare_back." in said
    assert row.image_id is None, "nobody has seen an image serve"
    assert said.endswith("rebuild the instance on an image of its version.")


def test_nova_that_refuses_is_asked_again_for_the_image_of_before(
    stack: Stack, served: Instance, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its image may be too large; the server as it was is no guest's any more."""
    real = servers.rebuild

    def refuse(server_id: str, **wanted: Any) -> None:
        if wanted["image_id"] == VERSION["image"]["id"]:
            raise Refused("The image needs a larger disk")
        real(server_id, **wanted)

    monkeypatch.setattr(servers, "rebuild", refuse)
    row, _ = upgraded(stack, served)
    assert (row.status, row.generation, told(row)) == (Status.ACTIVE, 3, told(served))
    assert "larger disk" in (row.fault_message or "")
    stack.check()


def test_what_is_called_back_before_the_guest_is_replaced_starts_its_database_again(
    stack: Stack, served: Instance
) -> None:
    (old,) = stack.guests.values()
    old.silent = True
    operation = begun(stack, served)
    stack.run(5)
    row = instances.get_instance(served.id)
    assert subjects.cancel(row, operation, "called back", Asked())
    old.silent = False
    stack.settle()
    row = instances.get_instance(served.id)
    assert old.runs[-1] == "restart"
    assert (row.status, row.generation) == (Status.ACTIVE, 1)


def test_what_is_called_back_afterwards_has_the_version_of_before(
    stack: Stack, served: Instance
) -> None:
    stack.guests.on_guest = lambda guest: setattr(guest, "silent", guest.generation == 2)
    operation = begun(stack, served)
    stack.run(20)
    row = instances.get_instance(served.id)
    assert row.generation == 2
    assert subjects.cancel(row, operation, "called back", Asked())
    stack.settle()
    row = instances.get_instance(served.id)
    assert (row.status, row.generation, told(row)) == (Status.ACTIVE, 3, told(served))
    stored = operations.get_operation(operation.id)
    assert stored is not None
    assert stored.status == OperationStatus.CANCELLED
    stack.check()


def test_the_new_engine_is_stopped_before_the_old_one_begins(
    stack: Stack, served: Instance
) -> None:
    """It runs when it answers too late, or is called back then."""
    stack.guests.on_guest = lambda guest: guest.waiting.add("upgrade")
    operation = begun(stack, served)
    stack.run(20)
    (new,) = stack.guests.values()
    beat = new.sealed("heartbeat", "heartbeat", {"status": "healthy"})
    heartbeats.receive({"Records": [{"messageId": "1", "body": beat}]})
    new.waiting.clear()
    row = instances.get_instance(served.id)
    assert subjects.cancel(row, operation, "called back", Asked())
    stack.settle()
    assert "stop_db" in new.runs
    assert instances.get_instance(served.id).status == Status.ACTIVE


def test_a_reset_leaves_the_rebuild_as_the_way_on(stack: Stack, served: Instance) -> None:
    """No guest is let in any more: the way back would wait for nobody."""
    stack.guests.on_guest = lambda guest: setattr(guest, "silent", True)
    begun(stack, served)
    stack.run(20)
    at = stack.kernel.now
    assert instances.reset_status(instances.get_instance(served.id), "reset")
    stack.settle()
    row = instances.get_instance(served.id)
    assert (row.status, row.operation_id) == (Status.ERROR, None)
    assert stack.kernel.now - at < replacing.STOP_SECONDS * 2
    assert "rebuild the instance" in (row.fault_message or "")


def test_a_reset_makes_a_guest_of_the_new_version_nobody(stack: Stack, served: Instance) -> None:
    """A start would show a version that its engine is not of."""
    stack.guests.on_guest = lambda guest: guest.waiting.add("upgrade")
    operation = begun(stack, served)
    stack.reach(operation, "prepare")
    stack.run(60)
    assert guests.find(served.id, 2) is not None
    assert instances.reset_status(instances.get_instance(served.id), "reset")
    stack.settle()
    row = instances.get_instance(served.id)
    assert (row.status, told(row)) == (Status.ERROR, told(served))
    assert guests.find(row.id, int(row.generation)) is None
    stack.check()


def test_an_upgrade_that_is_given_up_leaves_no_guest_of_the_new_version(
    stack: Stack, served: Instance
) -> None:
    stack.guests.on_guest = lambda guest: guest.waiting.add("upgrade")
    before = image_of(served)
    operation = begun(stack, served)
    stack.reach(operation, "prepare")
    stack.run(60)
    assert guests.find(served.id, 2) is not None
    stack.fates.append(lambda _: _dies(stack))
    stack.settle()
    row = instances.get_instance(served.id)
    assert "Given up after" in str(row.fault_message)
    assert (row.status, row.generation, told(row)) == (Status.ERROR, 3, told(served))
    assert guests.find(row.id, int(row.generation)) is None
    stack.fates.clear()
    rebuilt = stack.accept(row.id, REBUILD, {"image_id": before, "was": Status.ERROR})
    stack.settle()
    assert Operation.get(rebuilt.id).status == OperationStatus.SUCCEEDED
    stack.check()


def _dies(stack: Stack) -> Fate:
    """The execution ends with whatever it runs."""
    stack.kernel.call_later(0.0, stack.stop_executions)
    return Fate.FAIL


def test_a_reset_on_the_way_back_does_not_wait_for_a_guest_that_is_refused(
    stack: Stack, served: Instance
) -> None:
    failing(stack, upgrade=BROKEN)
    operation = begun(stack, served)
    stack.reach(operation, "server_back")
    at = stack.kernel.now
    assert instances.reset_status(instances.get_instance(served.id), "reset")
    stack.settle()
    assert instances.get_instance(served.id).status == Status.ERROR
    assert stack.kernel.now - at < replacing.STOP_SECONDS * 2


def test_what_a_reset_has_left_on_the_new_image_is_not_rebuilt_as_the_old_version(
    stack: Stack, served: Instance
) -> None:
    stack.guests.on_guest = lambda guest: setattr(guest, "silent", True)
    begun(stack, served)
    stack.run(20)
    assert instances.reset_status(instances.get_instance(served.id), "reset")
    stack.settle()
    stack.guests.on_guest = lambda _: None
    image_id = VERSION["image"]["id"]
    assert image_of(served) == image_id
    stack.accept(served.id, REBUILD, {"image_id": image_id, "was": Status.ERROR})
    stack.settle()
    row = instances.get_instance(served.id)
    assert (row.status, told(row)) == (Status.ERROR, told(served))
    (last,) = stack.guests.values()
    assert last.told[0][1]["number"] == told(served)[2]


def test_an_expelled_guest_is_followed_by_none(stack: Stack, served: Instance) -> None:
    stack.guests.on_guest = lambda guest: setattr(guest, "silent", True)
    begun(stack, served)
    stack.run(20)
    assert instances.get_instance(served.id).generation == 2
    generations.expel(served.id, Asked())
    stack.settle()
    row = instances.get_instance(served.id)
    assert (row.status, row.generation) == (Status.ERROR, 3)
    assert row.fault_message == generations.EXPELLED
    assert guests.find(row.id, 3) is None
    reported = instances.service_status(row.id)
    assert reported is not None
    assert reported.status == ServiceStatus.UNKNOWN


@pytest.mark.parametrize("step", [each.name for each in UPGRADE.undo])
@pytest.mark.parametrize("replaced", [True, False])
def test_nothing_is_taken_back_for_a_guest_that_was_expelled(
    stack: Stack, served: Instance, step: str, *, replaced: bool
) -> None:
    operation = begun(stack, served)
    if replaced:
        assert isinstance(replacing.next_generation(operation, "new_generation"), Done)
    generations.expel(served.id, Asked())
    operation.started, operation.step = {step: stack.kernel.now}, step
    operation.ended = {each.name: 1 for each in UPGRADE.undo}
    outcome = upgrade_instance.STEPS[step](operation, "token")
    meant = replaced is not (step == "start_database")
    assert outcome == (Failed(replacing.EXPELLED) if meant else Done())


def test_an_expulsion_between_two_runs_of_a_step_is_not_taken_for_its_own_generation(
    stack: Stack, served: Instance
) -> None:
    """Both make the next number; only one of them lets somebody in."""
    operation = begun(stack, served)
    generations.expel(served.id, Asked())
    assert isinstance(replacing.next_generation(operation, "new_generation"), Failed)
    assert instances.get_instance(served.id).generation == 2
    assert guests.find(served.id, 1) is not None, "its key is taken away by the rebuild"


def test_each_step_makes_one_generation_however_often_it_runs(
    stack: Stack, served: Instance
) -> None:
    operation = begun(stack, served)
    stale = operations.get_operation(operation.id)
    assert stale is not None
    for _ in range(2):
        assert isinstance(replacing.next_generation(operation, "new_generation"), Done)
    assert isinstance(replacing.next_generation(stale, "new_generation"), Done)
    assert isinstance(replacing.next_generation(operation, "generation_back"), Done)
    row = instances.get_instance(served.id)
    stored = operations.get_operation(operation.id)
    assert stored is not None
    assert (row.generation, stored.generation, stale.generation) == (3, 3, 2)
    made = as_dict(stored.resources)
    assert (made["new_generation"], made["generation_back"]) == (2, 3)


def test_the_record_in_the_cloud_is_of_the_version_that_was_asked_for(
    stack: Stack, served: Instance
) -> None:
    """A row that is made again from it has the version that runs."""
    row, _ = upgraded(stack, served)
    (server,) = servers.find(row.id)
    record = names.record_in(server.metadata)
    assert record is not None
    assert record["datastore_version_number"] == "10.11.9"


def test_the_way_back_has_its_own_time(stack: Stack, served: Instance) -> None:
    """What fails at the operation's deadline still goes back."""
    stack.guests.on_guest = lambda guest: setattr(guest, "silent", guest.generation == 2)
    operation = begun(stack, served)
    stack.settle()
    stored = operations.get_operation(operation.id)
    assert stored is not None
    assert stored.updated > operation.deadline
    assert settings().rebuild_timeout_seconds == operation.deadline - operation.created
    assert instances.get_instance(served.id).status == Status.ACTIVE


def test_the_guest_of_the_way_back_may_come_as_long_as_it_is_waited_for(
    stack: Stack, served: Instance, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its token is good to the end of the step behind the one that makes its server."""
    rebuilt: list[tuple[Operation, float]] = []
    rebuild = replacing.rebuild

    def seen(operation: Operation, *args: Any, expires_at: float) -> Outcome:
        rebuilt.append((operation, expires_at))
        return rebuild(operation, *args, expires_at=expires_at)

    monkeypatch.setattr(replacing, "rebuild", seen)
    failing(stack, upgrade=BROKEN)
    _, operation = upgraded(stack, served)
    assert operations.bound_of(operation, "prepare_back") <= rebuilt[-1][1]
    assert rebuilt[-1][0].step == "server_back"


def test_a_database_that_was_stopped_is_waited_for_until_it_has_started_again(
    served: Instance, stack: Stack, monkeypatch: pytest.MonkeyPatch
) -> None:
    operation = begun(stack, served)
    operation.step, operation.started = "start_database", {"start_database": aws.clock()}
    answered = Command("any", answered=aws.clock())
    monkeypatch.setattr(rows, "find", lambda _: answered)
    known = Command("restart")
    monkeypatch.setattr(replacing, "bound_of", lambda *_: aws.clock() + 60)
    monkeypatch.setattr(replacing, "ask_by_polls", lambda *_, **__: known)
    started = partial(replacing.start_database, operation, "stop_database", "start_database")
    assert isinstance(started(), Wait)
    known.answered = aws.clock()
    assert started() == Done()
    known.error = {"message": "No room."}
    assert started() == Failed("The database was not started again: No room.")
