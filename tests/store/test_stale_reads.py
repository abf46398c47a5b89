"""Rows that decide are read consistently: other reads are a minute behind, these see all."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from chalicelib import aws
from chalicelib.errors import OverLimit
from chalicelib.settings import settings
from chalicelib.store import accepting, calls, commands, guests, instances, jobs, operations, quotas
from chalicelib.store.models import Command
from tests.support.bare import World
from tests.support.rows import TENANT, accepted, create_operation, new_instance

BEHIND_SECONDS = 60.0


@pytest.fixture
def world(plain_world: World) -> World:
    """Tables of which eventually consistent reads are behind."""
    plain_world.read_late(BEHIND_SECONDS)
    return plain_world


def test_what_is_only_shown_may_be_behind(world: World) -> None:
    instance, _ = accepted()
    assert not instances.service_statuses([instance.id])
    world.run(2 * BEHIND_SECONDS)
    assert instances.service_statuses([instance.id])


def test_an_instance_and_its_operation(world: World) -> None:
    instance = new_instance()
    operation = create_operation(instance, b"the password")
    accepting.accept_create(instance, operation, {"instances": 1, "ram": 1, "volumes": 1})
    assert instances.find_instance(instance.id)
    assert instances.find_instances([instance.id])
    assert instances.service_status(instance.id)
    assert operations.get_operation(operation.id)
    assert operations.sealed_arguments(operation)


def test_a_quota(world: World) -> None:
    accepted()
    assert quotas.used_of(quotas.get_quota(TENANT))["instances"] == 1


def test_a_command(world: World) -> None:
    row = Command(
        "command-1",
        instance_id="instance-1",
        generation=1,
        method="restart",
        created=world.now,
        deadline=world.now + 1,
        expires=datetime.fromtimestamp(world.now + 1, UTC),
    )
    commands.add(row)
    assert commands.find(row.id)


def test_a_guest(world: World) -> None:
    guests.bind("instance-1", 1, "key", "server-1", 1)
    assert guests.find("instance-1", 1)


def test_slots_of_calls(world: World) -> None:
    instance = new_instance()
    for number in range(settings().calls_per_instance):
        calls.take(instance, f"call-{number}", world.now + 20)
    with pytest.raises(OverLimit, match=instance.id):
        calls.take(instance, "one more", world.now + 20)


def test_a_round_of_the_look_for_leftovers(world: World) -> None:
    jobs.store_orphan_look(jobs.OrphanLook(begins=aws.clock(), kind=1))
    assert jobs.orphan_look().kind == 1
