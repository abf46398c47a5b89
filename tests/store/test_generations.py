"""The step to the next generation: once, for the live operation, and never over another one."""

from __future__ import annotations

from typing import Any

import pytest

from chalicelib.domain.flows import REBUILD
from chalicelib.lifecycle import ServiceStatus, Status
from chalicelib.store import generations, instances, last_reports
from chalicelib.store.events import Asked
from chalicelib.store.last_reports import Reported
from chalicelib.store.models import Instance, Operation, ServiceStatusRow
from chalicelib.store.operations import operation_of
from tests.support.bare import World
from tests.support.rows import new_instance


def rebuilding(**changes: Any) -> tuple[Instance, Operation]:
    """An instance with the operation that gives it another guest, and what the old one said."""
    instance = new_instance(**{"status": Status.REBUILD, **changes})
    operation = operation_of(instance, REBUILD)
    instance.operation_id = operation.id
    instance.save()
    operation.save()
    said: dict[str, Any] = {"status": "healthy", "updated": 1.0, "epoch": 7, "seq": 9}
    ServiceStatusRow(instance.id, generation=instance.generation, **said).save()
    return instance, operation


def generation_of(instance: Instance) -> tuple[int, int]:
    """What the row says, and what the row of its reports does."""
    row, reported = instances.find_instance(instance.id), instances.service_status(instance.id)
    assert row is not None
    assert reported is not None
    return int(row.generation), int(reported.generation)


def test_a_new_generation_has_said_nothing_and_is_heard_from_its_first_epoch_on(
    world: World,
) -> None:
    instance, operation = rebuilding()
    assert generations.begin(operation, "new_generation")
    assert generation_of(instance) == (2, 2)
    reported = instances.service_status(instance.id)
    assert reported is not None
    assert (reported.status, reported.updated) == (ServiceStatus.NEW, world.now)
    assert last_reports.write(instance.id, Reported((2, 1, 1), "healthy", 0))
    assert not last_reports.write(instance.id, Reported((1, 8, 1), "crashed", 0))


def test_of_a_new_generation_nobody_is_enrolled(world: World) -> None:
    """Whoever was of the one before is no rival of its guest."""
    _, operation = rebuilding()
    operation.update(actions=[Operation.enrolled_server.set("server-1")])
    assert generations.begin(operation, "new_generation")
    operation.refresh(consistent_read=True)
    assert (operation.generation, operation.enrolled_server) == (2, None)


def test_a_second_run_leaves_what_the_new_guest_has_said(world: World) -> None:
    instance, operation = rebuilding()
    generations.begin(operation, "new_generation")
    last_reports.write(instance.id, Reported((2, 1, 1), "healthy", 0))
    assert not generations.begin(operation, "new_generation")
    reported = instances.service_status(instance.id)
    assert reported is not None
    assert (reported.generation, reported.status) == (2, "healthy")


@pytest.mark.parametrize("live", [None, "another one"])
def test_an_operation_that_is_not_live_replaces_nobody(world: World, live: str | None) -> None:
    instance, operation = rebuilding()
    instance.operation_id = live
    instance.save()
    assert not generations.begin(operation, "new_generation")
    assert generation_of(instance) == (1, 1)


def test_an_expulsion_meets_the_generation_that_began_meanwhile(world: World) -> None:
    """Else the guest that is to come would be the one that was expelled."""
    instance, operation = rebuilding()
    seen = instances.get_instance(instance.id)
    generations.begin(operation, "new_generation")
    assert not generations.expel(seen, "stolen", Asked())
    assert generations.expel(instances.get_instance(instance.id), "stolen", Asked())
    assert generation_of(instance) == (3, 3)


def test_two_expulsions_of_an_instance_in_error_are_not_one(world: World) -> None:
    instance, _ = rebuilding(status=Status.ERROR)
    seen = instances.get_instance(instance.id)
    assert generations.expel(seen, "stolen", Asked())
    assert not generations.expel(seen, "stolen", Asked())
    assert generation_of(instance) == (2, 2)
