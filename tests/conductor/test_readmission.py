"""A server that asks with another key: Nova is asked about it where its disk may be lost only."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from chalicelib import errors
from chalicelib.conductor import readmission
from chalicelib.domain.operations import OperationStatus
from chalicelib.lifecycle import Status
from chalicelib.settings import settings
from chalicelib.store import events, generations, instances
from chalicelib.store.ending import Ending, end_operation
from chalicelib.store.models import Instance, Operation, ServiceStatusRow
from tests.conductor.conftest import Built
from tests.support.bare import World

SERVER = "server-1"


@pytest.fixture
def silent(world: World, built: Built) -> Instance:
    """An instance that serves, and whose guest has not reported for long."""
    end_operation(built.operation, Ending(OperationStatus.SUCCEEDED))
    ServiceStatusRow(built.instance.id, generation=1, status="healthy", updated=world.now).save()
    world.run(settings().heartbeat_expiry_seconds)
    return now(built.instance)


def now(row: Instance) -> Instance:
    return instances.get_instance(row.id)


def ask(row: Instance, server_id: str = SERVER, key: str = "another") -> errors.CofferError:
    return readmission.refuse(now(row), key, server_id, "req-1")


def refusals(row: Instance) -> list[str]:
    return [each.message for each in events.events_of(row.id) if each.kind == "enrolment.refused"]


def test_nova_is_asked_about_a_server_whose_guest_is_silent(silent: Instance) -> None:
    assert isinstance(ask(silent), errors.Conflict)
    operation = Operation.get(str(now(silent).operation_id))
    assert operation.action == "rebuild_instance"
    assert operation.arguments == {"image_id": None, "was": Status.ACTIVE, "server_asked": True}
    assert operation.user_id == readmission.GUEST
    (said,) = refusals(silent)
    assert said.endswith("Nova is asked whether its disk was replaced.")


def test_it_is_asked_once_in_a_while_whoever_asks(world: World, silent: Instance) -> None:
    for seconds, asked in ((0, 1), (readmission.ASK_SECONDS - 1, 1), (2, 2)):
        world.run(seconds)
        ask(silent)
        if (operation_id := now(silent).operation_id) is not None:
            end_operation(Operation.get(operation_id), Ending(OperationStatus.FAILED, "No."))
            silent.update(actions=[Instance.status.set(Status.ACTIVE)])
        assert len(refusals(silent)) == asked


WHY_NOT: dict[str, Callable[[World, Instance], object]] = {
    "it is heard": lambda world, row: ServiceStatusRow(
        row.id, generation=1, status="healthy", updated=world.now - 1
    ).save(),
    "it has never reported": lambda _, row: ServiceStatusRow(row.id).delete(),
    "it is in ERROR": lambda _, row: row.update(actions=[Instance.status.set(Status.ERROR)]),
    "something is done to it": lambda _, row: row.update(actions=[Instance.operation_id.set("o")]),
    "it has had too many guests": lambda _, row: None,
}


@pytest.mark.parametrize("why", WHY_NOT)
def test_nothing_follows_for_any_other(
    world: World, silent: Instance, monkeypatch: pytest.MonkeyPatch, why: str
) -> None:
    WHY_NOT[why](world, silent)
    if why == "it has had too many guests":
        monkeypatch.setattr(generations, "MOST_GENERATIONS", 1)
    before = now(silent).operation_id
    assert isinstance(ask(silent), errors.Conflict)
    assert now(silent).operation_id == before
    (said,) = refusals(silent)
    assert said.endswith("Nothing is done: the guest has its place.")


def test_nothing_follows_for_another_server_or_the_guest_itself(
    silent: Instance, built: Built
) -> None:
    assert isinstance(ask(silent, "server-2"), errors.Conflict)
    assert isinstance(ask(silent, key=built.guest.public_key), errors.Gone)
    assert now(silent).operation_id is None
