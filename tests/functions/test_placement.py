"""What a tenant may not ask the cloud for itself is not asked for it by the service either."""

from __future__ import annotations

from typing import Any

import pytest

from chalicelib.cloud import network, servers, volumes
from chalicelib.cloud.errors import Refused
from chalicelib.lifecycle import Status
from chalicelib.store import instances, operations
from functions import placement
from tests.support.bare import World
from tests.support.rows import TENANT, new_instance
from tests.support.simulated import Stack

OWN = network.Network("own", TENANT, shared=False)
SHARED = network.Network("shared", "operator", shared=True)
FOREIGN = network.Network("foreign", "other", shared=False)
CHOSEN = network.Network("network-1", "operator", shared=False)
SUBNETS = {f"{each.id}-subnet": each.id for each in (OWN, SHARED, FOREIGN, CHOSEN)}


@pytest.fixture(autouse=True)
def cloud(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    networks = {each.id: each for each in (OWN, SHARED, FOREIGN, CHOSEN)}
    types = [
        volumes.VolumeType("1", "fast", public=True),
        volumes.VolumeType("2", "golden", public=False),
        volumes.VolumeType("3", "given", public=False),
    ]

    def subnet(subnet_id: str) -> network.Subnet | None:
        owner = SUBNETS.get(subnet_id)
        return network.Subnet(subnet_id, owner, "10.0.0.0/24") if owner else None

    def kind(wanted: str) -> volumes.VolumeType | None:
        return next((each for each in types if wanted in (each.id, each.name)), None)

    monkeypatch.setattr(network, "get_network", networks.get)
    monkeypatch.setattr(network, "get_subnet", subnet)
    monkeypatch.setattr(volumes, "find_type", kind)
    monkeypatch.setattr(servers, "find_zones", lambda: frozenset({"nova"}))
    given = {"2": frozenset({"service"}), "3": frozenset({"service", TENANT})}
    monkeypatch.setattr(volumes, "get_type_projects", given.__getitem__)


def place(**nic: str) -> placement.Place:
    return placement.of_port(new_instance(nics=[nic] if nic else []))


def test_without_a_nic_it_is_the_operators_network() -> None:
    assert place() == placement.Place("network-1")


def test_a_subnet_alone_says_its_network() -> None:
    assert place(subnet_id="own-subnet") == placement.Place("own", "own-subnet")


@pytest.mark.parametrize("name", ["own", "shared", "network-1"])
def test_a_network_that_the_tenant_may_use_is_taken_with_and_without_its_subnet(name: str) -> None:
    assert place(network_id=name) == placement.Place(name)
    wanted = {"network_id": name, "subnet_id": f"{name}-subnet"}
    assert place(**wanted) == placement.Place(**wanted)


def test_a_network_that_neutron_has_shown_the_tenant_may_be_used_and_no_other() -> None:
    nic = {"network_id": "foreign", "shown_network_id": "foreign"}
    assert place(**nic) == placement.Place("foreign")
    assert place(subnet_id="foreign-subnet", shown_network_id="foreign") == placement.Place(
        "foreign", "foreign-subnet"
    )
    with pytest.raises(Refused):
        place(subnet_id="foreign-subnet", shown_network_id="own")


def test_an_address_is_chosen_in_a_network_of_ones_own() -> None:
    nic = {"subnet_id": "own-subnet", "ip_address": "10.0.0.9"}
    assert place(**nic) == placement.Place("own", **nic)


@pytest.mark.parametrize(
    ("nic", "words"),
    [
        ({"network_id": "foreign"}, "Network foreign cannot be found."),
        ({"network_id": "gone"}, "Network gone cannot be found."),
        ({"subnet_id": "foreign-subnet"}, "Subnet foreign-subnet cannot be found."),
        ({"subnet_id": "gone"}, "Subnet gone cannot be found."),
        (
            {"network_id": "own", "subnet_id": "shared-subnet"},
            "Subnet shared-subnet does not belong to network own.",
        ),
        (
            {"network_id": "own", "subnet_id": "foreign-subnet"},
            "Subnet foreign-subnet cannot be found.",
        ),
        (
            {"subnet_id": "shared-subnet", "ip_address": "10.0.0.9"},
            "An 'ip_address' can be chosen in a network of the project's own only.",
        ),
        (
            {"subnet_id": "network-1-subnet", "ip_address": "10.0.0.9"},
            "An 'ip_address' can be chosen in a network of the project's own only.",
        ),
        (
            {"subnet_id": "own-subnet", "ip_address": "10.0.1.9"},
            "Address 10.0.1.9 is not in subnet own-subnet (10.0.0.0/24).",
        ),
    ],
)
def test_what_is_not_the_tenants_to_use_is_refused(nic: dict[str, str], words: str) -> None:
    with pytest.raises(Refused) as caught:
        place(**nic)
    assert str(caught.value) == words


@pytest.mark.parametrize("chosen", [None, "fast", "1", "given"])
def test_a_public_type_and_a_given_one_may_be_used(chosen: str | None) -> None:
    placement.require_volume_type(new_instance(volume_type=chosen))


@pytest.mark.parametrize("chosen", ["golden", "2", "platinum"])
def test_another_private_type_cannot_be_found(chosen: Any) -> None:
    with pytest.raises(Refused, match=f"Volume type {chosen} cannot be found"):
        placement.require_volume_type(new_instance(volume_type=chosen))


@pytest.mark.parametrize("chosen", [None, "nova"])
def test_a_zone_that_the_cloud_has_may_be_used(chosen: str | None) -> None:
    placement.require_zone(new_instance(availability_zone=chosen))


def test_another_zone_cannot_be_found_and_nothing_is_made(
    stack: Stack, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(servers, "find_zones", lambda: frozenset({"nova"}))
    instance, _ = stack.create(availability_zone="moon")
    stack.settle()
    row = instances.get_instance(instance.id)
    assert row.status == Status.ERROR
    assert "Availability zone moon cannot be found." in (row.fault_message or "")
    assert "volumes.create" not in stack.log


@pytest.mark.parametrize(
    ("mapping", "where"), [("", "storage"), ("az1=rack1,*=*", "rack1"), ("*=storage", "storage")]
)
def test_cinders_zones_are_not_novas(
    stack: Stack, monkeypatch: pytest.MonkeyPatch, mapping: str, where: str
) -> None:
    stack.cloud.compute.zones, stack.cloud.volume.zones = ("nova", "az1"), ("storage", "rack1")
    monkeypatch.setattr(servers, "find_zones", lambda: frozenset({"nova", "az1"}))
    monkeypatch.setenv("COFFER_VOLUME_ZONES", mapping)
    instance, _ = stack.create(availability_zone="az1")
    stack.settle()
    assert instances.get_instance(instance.id).status == Status.ACTIVE
    (server,) = stack.cloud.compute.servers.values()
    (volume,) = stack.cloud.volume.volumes.values()
    assert (server.availability_zone, volume.availability_zone) == ("az1", where)


def test_a_zone_that_cinder_lacks_is_told_with_its_name(
    stack: Stack, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COFFER_VOLUME_ZONES", "*=moon")
    instance, operation = stack.create()
    stack.settle()
    row, ended = instances.get_instance(instance.id), operations.get_operation(operation.id)
    assert ended is not None
    assert row.status == Status.ERROR
    told = row.fault_message or ""
    assert f"create the volume coffer-{instance.id}: Availability zone 'moon' is invalid." in told
    assert ended.reason == told


def test_a_volume_type_of_others_cannot_be_found_and_nothing_is_made(stack: Stack) -> None:
    instance, _ = stack.create(volume_type="golden")
    stack.settle()
    row = instances.get_instance(instance.id)
    assert row.status == Status.ERROR
    assert "Volume type golden cannot be found." in (row.fault_message or "")
    assert "volumes.create" not in stack.log
