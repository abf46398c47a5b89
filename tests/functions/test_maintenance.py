"""Maintenance: the mirror of the flavors, and the orphans of instances that are gone."""

from __future__ import annotations

import pytest

from chalicelib.cloud import flavors, names
from chalicelib.cloud.errors import CloudAway, Refused
from chalicelib.store import events, instances
from chalicelib.store.models import Flavor
from functions import handler, maintenance
from tests.support.stack import Stack

GONE = "0b0e3a6c-6a3d-4a77-8f0e-1d2f3a4b5c6d"


def run() -> dict[str, object]:
    return handler.cloud({"step": "maintenance"}, None)


def mirrored() -> dict[str, int]:
    return {row.id: int(row.ram) for row in Flavor.scan()}


def test_the_mirror_equals_the_clouds_list(stack: Stack) -> None:
    stack.cloud.flavors = [
        flavors.CloudFlavor("1", "db.tiny", 512, 1, 5, 0),
        flavors.CloudFlavor("2", "db.small", 1024, 1, 10, 0),
    ]
    assert run() == {"flavors": 2, "removed": 0}
    assert mirrored() == {"1": 512, "2": 1024}
    stack.cloud.flavors = [flavors.CloudFlavor("2", "db.small", 2048, 1, 10, 0)]
    run()
    assert mirrored() == {"2": 2048}


def test_a_cloud_that_is_away_leaves_the_mirror_as_it_is(stack: Stack) -> None:
    run()
    stack.cloud.refusals["flavors.list_all"] = CloudAway("The cloud could not list")
    with pytest.raises(CloudAway):
        run()
    assert mirrored() == {"1": 512}


def orphans_of(stack: Stack, instance_id: str) -> None:
    volume = stack.cloud.create_volume(f"coffer-{instance_id}")
    group = stack.cloud.create_security_group(f"coffer-{instance_id}", "")
    port = stack.cloud.create_port(
        f"coffer-{instance_id}", network_id="n", security_group_id=group.id
    )
    stack.world.now += 2
    stack.cloud.create_server(f"coffer-{instance_id}-1", volume_id=volume.id, port_id=port.id)


def empty(stack: Stack) -> bool:
    stack.world.now += 3
    return not any(stack.cloud.inventory().values())


def test_what_no_instance_owns_is_removed_and_told(stack: Stack) -> None:
    orphans_of(stack, GONE)
    run()
    stack.world.now += 3
    run()
    assert empty(stack)
    kinds = {row.message.split(" coffer")[0] for row in events.events_of(GONE)}
    assert kinds == {"server", "volume", "port", "security group"}


def test_what_an_instance_owns_in_any_status_stays(stack: Stack) -> None:
    stack.cloud.servers_become = "BUILD"
    instance, _ = stack.create()
    stack.settle(until=stack.world.now + 3)
    before = stack.cloud.inventory()
    assert run()["removed"] == 0
    assert stack.cloud.inventory() == before
    assert events.events_of(instance.id)[-1].kind == "create.accepted"


def test_what_a_deleted_instance_left_is_removed_after_a_while(stack: Stack) -> None:
    instance, _ = stack.create()
    stack.settle()
    stack.delete(instance.id)
    stack.settle()
    stack.cloud.create_volume(f"coffer-{instance.id}")
    stack.world.now += 60
    assert run()["removed"] == 0
    stack.world.now += maintenance.ORPHAN_AGE_SECONDS
    assert run()["removed"] == 1
    assert empty(stack)


@pytest.mark.parametrize(
    "name",
    [
        "coffer-a-volume-with-a-name-as-long-as-an-id",
        "coffer-" + "x" * 36,
        f"coffer-{GONE}-backup",
        f"coffer-{GONE}0",
        f"other-{GONE}",
        "coffer-",
    ],
)
def test_a_thing_with_a_name_of_somebody_else_is_left_alone(stack: Stack, name: str) -> None:
    stack.cloud.create_volume(name)
    stack.world.now += 60
    assert names.instance_of(name) is None
    assert run()["removed"] == 0
    assert stack.cloud.names("volume") == [name]


def test_the_names_that_steps_give_lead_back_to_the_instance(stack: Stack) -> None:
    for name in (names.server(GONE, 3), names.volume(GONE), names.network(GONE)):
        assert names.instance_of(name) == GONE


def test_an_orphan_that_cannot_be_removed_does_not_hold_up_the_others(stack: Stack) -> None:
    orphans_of(stack, GONE)
    stack.cloud.refusals["servers.delete"] = Refused("The cloud refused to delete: locked")
    run()
    assert stack.cloud.names("port") == []
    assert stack.cloud.names("group") == []
    assert instances.find_instance(GONE) is None
