"""A guest that was replaced or expelled: what it holds is worth nothing, whatever it says."""

from __future__ import annotations

from typing import Any

import pytest

from chalicelib import errors
from chalicelib.bus import commands, proofs
from chalicelib.conductor import enrolment, generations, heartbeats, reports
from chalicelib.domain.flows import REBUILD, RESTART
from chalicelib.domain.operations import OperationStatus
from chalicelib.lifecycle import Status
from chalicelib.store import accepting, instances, operations
from chalicelib.store import commands as rows
from chalicelib.store import generations as store
from chalicelib.store.ending import Ending, end_operation, failure
from chalicelib.store.events import Asked
from chalicelib.store.generations import MOST_GENERATIONS
from chalicelib.store.kinds import Instances
from chalicelib.store.models import Instance, Operation
from chalicelib.store.operations import operation_of
from tests.conductor.conftest import Built, new_guest
from tests.support.bare import World

NOBODY = Asked()


def active(built: Built) -> Instance:
    """The create has ended; the guest serves."""
    resources = {"server_id": "server-1", "volume_id": "volume-1"}
    row = operations.take_lease(built.operation.id, "server")
    operations.release_lease(row, "server", ended=True, resources=resources)
    stored = operations.get_operation(built.operation.id)
    assert stored is not None
    end_operation(stored, Ending(OperationStatus.SUCCEEDED))
    return instances.get_instance(built.instance.id)


def expel(built: Built) -> Instance:
    generations.expel(built.instance.id, NOBODY)
    return instances.get_instance(built.instance.id)


def restarting(built: Built) -> Operation:
    operation = operation_of(active(built), RESTART)
    assert accepting.accept(instances.get_instance(built.instance.id), operation)
    return operation


def everything(world: World) -> dict[str, Any]:
    """All state, except what counts refused reports."""
    return {
        name: {
            key: {field: value for field, value in row.items() if field != "stale_reports"}
            for key, row in table.items.items()
        }
        for name, table in world.dynamodb.tables.items()
    }


def test_an_expelled_guest_is_told_with_what_comes_next(built: Built) -> None:
    active(built)
    row = expel(built)
    assert (row.status, row.generation) == (Status.ERROR, 2)
    assert "rebuild" in (row.fault_message or "")
    reported = instances.service_status(row.id)
    assert reported is not None
    assert (reported.generation, reported.status) == (2, "unknown")


def test_nothing_that_an_expelled_guest_says_changes_anything(world: World, built: Built) -> None:
    instance = active(built)
    asked = commands.new_command("call-1", instance, "list_users", deadline=world.now + 20)
    rows.add(asked)
    expel(built)
    before = everything(world)
    for kind, result in (
        ("result", {"users": []}),
        ("progress", {"stage": "forged"}),
        ("root", {}),
        ("event", {"kind": "crashed", "text": "forged"}),
    ):
        reports.receive(built.guest.sealed(kind, "call-1", result))
    beat = {"messageId": "1", "body": built.guest.sealed("heartbeat", "1", {"status": "healthy"})}
    heartbeats.receive({"Records": [beat]})
    assert everything(world) == before
    reported = instances.service_status(instance.id)
    assert reported is not None
    assert reported.stale_reports == 5


def test_an_expelled_guest_can_neither_renew_nor_enrol(built: Built) -> None:
    active(built)
    expel(built)
    who = built.instance.id, 1
    issued = built.guest.issued_at_ms + 1
    signed = built.guest.sign(proofs.of_renewal(*who, issued, start=False))
    with pytest.raises(errors.Gone):
        enrolment.renew(enrolment.Renew(*who, issued, start=False, signature=signed))
    with pytest.raises(errors.Gone):
        enrolment.enrol(built.guest.enrolment())


def test_the_server_of_an_instance_that_is_being_built_cannot_enrol_after_an_expulsion(
    world: World, built: Built
) -> None:
    expel(built)
    late = new_guest(world, built.instance, built.operation)
    with pytest.raises(errors.Gone):
        enrolment.enrol(late.enrolment())
    stored = operations.get_operation(built.operation.id)
    assert stored is not None
    assert stored.cancelled


def test_a_second_expulsion_changes_nothing(world: World, built: Built) -> None:
    active(built)
    assert expel(built).generation == 2
    assert expel(built).generation == 2


@pytest.mark.parametrize("succeeds", [True, False])
def test_an_operation_that_an_expulsion_has_overtaken_leaves_the_instance_to_the_rebuild(
    built: Built, *, succeeds: bool
) -> None:
    operation = restarting(built)
    told = expel(built).fault_message
    stored = operations.get_operation(operation.id)
    assert stored is not None
    assert stored.cancelled
    how = (
        Ending(OperationStatus.SUCCEEDED)
        if succeeds
        else failure(stored, OperationStatus.CANCELLED, "called back")
    )
    end_operation(stored, how)
    row = instances.get_instance(built.instance.id)
    assert (row.status, row.generation, row.operation_id) == (Status.ERROR, 2, None)
    assert row.fault_message == told


def test_a_guest_that_is_still_to_come_is_expelled_too(built: Built) -> None:
    """Its token is with its server already, though the instance was reset to ERROR meanwhile."""
    operation = operation_of(active(built), REBUILD)
    assert accepting.accept(instances.get_instance(built.instance.id), operation)
    assert store.begin(operation, "new_generation")
    assert instances.reset_status(instances.get_instance(built.instance.id), "called back")
    assert expel(built).generation == 3


def test_an_expulsion_while_an_operation_ends_is_not_overlooked(
    built: Built, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The instance was reset, so that the expulsion leaves its status as it is."""
    operation = restarting(built)
    assert instances.reset_status(instances.get_instance(built.instance.id), "called back")

    find = Instances.find

    def look(kind: Instances, instance_id: str) -> Instance | None:
        monkeypatch.setattr(Instances, "find", find)
        seen = find(kind, instance_id)
        expel(built)
        return seen

    monkeypatch.setattr(Instances, "find", look)
    stored = operations.get_operation(operation.id)
    assert stored is not None
    end_operation(stored, failure(stored, OperationStatus.CANCELLED, "called back"))
    row = instances.get_instance(built.instance.id)
    assert (row.status, row.generation, row.operation_id) == (Status.ERROR, 2, None)
    assert row.fault_message == generations.EXPELLED


def test_an_instance_has_a_bounded_number_of_guests(built: Built) -> None:
    row = active(built)
    row.generation = MOST_GENERATIONS
    row.save()
    with pytest.raises(errors.Unprocessable, match="most that one may have"):
        expel(built)
