"""What a guest holds of a configuration group, and what its row tells, after what moves or replaces
it, however that ends."""

from __future__ import annotations

from typing import Any, Final

import pytest

from chalicelib.bus.contract import UPDATE_OVERRIDES
from chalicelib.domain.configurations import UNKNOWN
from chalicelib.domain.flows import CONFIGURE, MIGRATE, REBUILD, RESTART, UPGRADE
from chalicelib.lifecycle import Status
from chalicelib.store import configurations, datastores, instances
from chalicelib.store.models import Instance
from functions.configuring import KNOWS_NO_GROUPS
from simulator.versions import FIRST
from tests.support.rows import TENANT, WHO
from tests.support.scripted import Script
from tests.support.simulated import VERSION, Stack

VALUES: Final = {"max_connections": 40}
LATER: Final = {"max_connections": 50}


def group(stack: Stack) -> str:
    version = datastores.offered(consistent=True).version("mariadb-10.11")
    assert version is not None
    row = configurations.new_configuration(TENANT, "g", None, version)
    row.wanted = VALUES
    assert configurations.create(row, WHO)
    return str(row.id)


def with_group(stack: Stack) -> tuple[str, str]:
    """An instance that was made with a group, and the group."""
    made = group(stack)
    instance, _ = stack.create(configuration_id=made)
    stack.settle()
    return instance.id, made


def upgrade(stack: Stack, instance_id: str, **version: Any) -> Instance:
    row = instances.get_instance(instance_id)
    before = {
        "id": row.datastore_version_id,
        "name": row.datastore_version,
        "number": row.datastore_version_number,
        "image": row.image,
    }
    stack.accept(instance_id, UPGRADE, {"version": VERSION | version, "before": before})
    stack.settle()
    return instances.get_instance(instance_id)


def rebuild(stack: Stack, instance_id: str) -> Instance:
    was = instances.get_instance(instance_id).status
    arguments = {"image_id": FIRST["mariadb"].image_id, "was": was}
    stack.accept(instance_id, REBUILD, arguments)
    stack.settle()
    return instances.get_instance(instance_id)


def restart(stack: Stack, instance_id: str) -> Instance:
    stack.accept(instance_id, RESTART)
    stack.settle()
    return instances.get_instance(instance_id)


def held(stack: Stack) -> dict[str, Any]:
    """What the one guest has written for its engine."""
    (script,) = stack.guests.values()
    return dict(script.guest.disk.configuration)


def failing(stack: Stack, **faults: str) -> None:
    """The guests to come fail what is named, once each."""

    def fail(guest: Script) -> None:
        guest.failing = {name: [fault] for name, fault in faults.items()}

    stack.guests.on_guest = fail


def test_an_upgrade_keeps_the_values(stack: Stack) -> None:
    instance_id, made = with_group(stack)
    row = upgrade(stack, instance_id)
    assert (row.status, row.datastore_version_id) == (Status.ACTIVE, VERSION["id"])
    assert (held(stack), row.configuration_held) == (VALUES, f"{made}/1")
    assert (row.configuration_id, row.restart_required) == (made, None)
    stack.check()


def test_an_upgrade_that_is_undone_keeps_the_values(stack: Stack) -> None:
    instance_id, made = with_group(stack)
    failing(stack, upgrade="it does not start")
    row = upgrade(stack, instance_id)
    assert (row.status, row.generation) == (Status.ACTIVE, 3)
    assert "has its former version" in str(row.fault_message)
    assert (held(stack), row.configuration_held) == (VALUES, f"{made}/1")
    stack.check()


def test_an_upgrade_that_does_not_begin_leaves_the_values(stack: Stack) -> None:
    instance_id, made = with_group(stack)
    row = upgrade(stack, instance_id, image={"id": "nothing", "tags": []})
    assert (row.status, row.generation) == (Status.ACTIVE, 1)
    assert (held(stack), row.configuration_held) == (VALUES, f"{made}/1")


def test_an_upgrade_that_fails_either_way_leaves_the_values_to_the_next_rebuild(
    stack: Stack,
) -> None:
    instance_id, made = with_group(stack)
    failing(stack, upgrade="it does not start", rebuild="nor does this one")
    row = upgrade(stack, instance_id)
    assert (row.status, row.configuration_id, row.configuration_held) == (Status.ERROR, made, None)
    stack.guests.on_guest = lambda _: None
    row = rebuild(stack, instance_id)
    assert (row.status, row.fault_message) == (Status.ACTIVE, None)
    assert (held(stack), row.configuration_held) == (VALUES, f"{made}/1")
    stack.check()


@pytest.mark.parametrize("fails", [False, True])
def test_a_migration_keeps_the_values(stack: Stack, fails: bool) -> None:
    instance_id, made = with_group(stack)
    if fails:
        (script,) = stack.guests.values()
        script.failing["start_db_with_conf_changes"] = ["no such device"]
    flavor, epoch = {"ram": 512, "vcpus": 1}, instances.epoch_of(instance_id)
    stack.accept(instance_id, MIGRATE, {"host": None, "flavor": flavor, "epoch": epoch})
    stack.settle()
    row = instances.get_instance(instance_id)
    assert (row.status, bool(row.fault_message)) == (Status.ACTIVE, fails)
    assert (held(stack), row.configuration_held) == (VALUES, f"{made}/1")
    stack.check()


@pytest.mark.parametrize("replace", [rebuild, upgrade])
def test_a_guest_that_knows_no_groups_is_said_to_hold_none(stack: Stack, replace: Any) -> None:
    """The agents of the images before release 4 leave the values out, and say nothing of it."""
    stack.fleet.around.release = lambda: UPDATE_OVERRIDES.since - 1
    instance_id, made = with_group(stack)
    row = instances.get_instance(instance_id)
    assert (held(stack), row.configuration_id, row.configuration_held) == ({}, made, None)
    assert (row.status, row.fault_message) == (Status.ACTIVE, KNOWS_NO_GROUPS)
    assert {"sent", "holding", "configuration_refused"}.isdisjoint(row.resources)
    stack.check()
    row = restart(stack, instance_id)
    assert (row.status, row.fault_message) == (Status.ACTIVE, KNOWS_NO_GROUPS), "it still lacks it"
    row = replace(stack, instance_id)  # an image of today
    assert (held(stack), row.configuration_held, row.fault_message) == (VALUES, f"{made}/1", None)
    stack.check()


def test_a_guest_that_may_have_taken_the_values_is_told_again(stack: Stack) -> None:
    """Its answer to a detach was lost; the group is attached again, and that fails."""
    instance_id, made = with_group(stack)
    (script,) = stack.guests.values()
    script.answer = {"answers": "something else"}
    for group_id in (None, made):
        Instance(instance_id).update(
            actions=[
                Instance.configuration_id.remove()
                if group_id is None
                else Instance.configuration_id.set(group_id)
            ]
        )
        stack.accept(instance_id, CONFIGURE, {"configuration": group_id})
        stack.settle()
        row = instances.get_instance(instance_id)
        assert (row.status, row.configuration_held) == (Status.ACTIVE, UNKNOWN)
        script.answer, script.failing = (
            None,
            {"update_overrides": ["no"] if group_id is None else []},
        )
    assert held(stack) == {}
    row = restart(stack, instance_id)
    assert (held(stack), row.configuration_held) == (VALUES, f"{made}/1")
    stack.check()
