"""An instance in BUILD whose guest has enrolled, and the queues around it."""

from __future__ import annotations

from typing import Any

import pytest

from chalicelib.bus import queues
from chalicelib.conductor import enrolment
from chalicelib.domain import user_data
from chalicelib.parameters import LOOK_SECONDS
from chalicelib.store.models import Instance, Operation
from tests.support.bare import World
from tests.support.peer import Peer
from tests.support.rows import accepted


class Built:
    """An instance, its create operation and its guest."""

    def __init__(self, world: World) -> None:
        self.instance, self.operation = accepted()
        queues.make_guest_queue(self.instance.id, 1)
        self.guest = new_guest(world, self.instance, self.operation)
        self.guest.enrol()


def new_guest(world: World, instance: Instance, operation: Operation) -> Peer:
    """A guest that has not enrolled yet."""
    token = enrolment.new_token(instance.id, int(instance.generation), operation.deadline)
    configuration = user_data.GuestConfiguration(
        instance_id=instance.id,
        generation=int(instance.generation),
        control_url="http://127.0.0.1/api",
        enrolment_token=token,
        datastore_manager="mariadb",
        datastore_version="10.11",
        region="us-east-1",
        aws_endpoint_url=None,
    )
    return Peer("server-1", user_data.for_guest(configuration))


@pytest.fixture
def built(world: World) -> Built:
    """The instance of most tests."""
    return Built(world)


@pytest.fixture
def other(world: World) -> Built:
    """An instance of somebody else."""
    return Built(world)


def rotate(world: World) -> None:
    """Version 3 of the keys is used, and this container has not looked for a while."""
    use_version_3(world)
    world.run(LOOK_SECONDS)


def use_version_3(world: World) -> None:
    """Add it to the keys, and use it."""
    ring = world.ring.with_new(bytes([3]) * 32, world.now)
    world.ring = ring.with_newest_in_use(ring.usable_at)


def under_newer_key(world: World, built: Built, *report: Any, **changes: Any) -> str:
    """A report of a guest that was given version 3 of the keys by another container than this."""
    ring, memory = world.ring, dict(world.provider.memory())
    world.provider.memory().clear()
    use_version_3(world)
    body = built.guest.sealed(*report, key_version=3, **changes)
    world.ring = ring
    world.provider.memory().clear()
    world.provider.memory().update(memory)
    return body
