"""Servers and volumes: zones, states that do not allow something, and their end."""

from __future__ import annotations

import contextlib
from collections.abc import Callable

import pytest

from chalicelib.cloud import errors, servers, volumes
from tests.cloud.contract.asked import Asked, refused
from tests.cloud.contract.people import until


def test_a_zone_that_nova_or_cinder_lacks_is_refused_for_good_and_named(asked: Asked) -> None:
    assert "moon" not in servers.find_zones()
    assert servers.find_zones()
    error = refused(lambda: asked.volume(zone="moon"))
    assert (type(error), "moon" in str(error)) == (errors.Refused, True)
    home = asked.network_of(asked.tenant, "10.69.0.0/24")
    port, disk = asked.port(home.id, asked.group().id), asked.volume()
    error = refused(lambda: asked.ask_for_server(port.id, disk.id, zone="moon"))
    assert type(error) is errors.Refused
    assert asked.status_of(disk.id) == "available"


def test_what_a_state_does_not_allow_is_for_later(asked: Asked) -> None:
    made = asked.server()
    (volume_id,) = made.volumes
    attempts: list[Callable[[], object]] = [
        lambda: servers.start(made.id),
        lambda: servers.attach_volume(made.id, volume_id),
        lambda: volumes.delete(volume_id),
        lambda: servers.confirm_resize(made.id),  # there is nothing to confirm, nor to revert
        lambda: servers.revert_resize(made.id),
    ]
    for each in attempts:
        assert type(refused(each)) is errors.CloudAway


@pytest.mark.parametrize("taken_back", [True, False], ids=["reverted", "confirmed"])
def test_a_resize_waits_until_it_is_taken_back_or_confirmed(asked: Asked, taken_back: bool) -> None:
    """The disk of data stays in the server; asking for the end again while it comes is fine."""
    made = asked.server()
    here, there = ((it.id, it.name, it.ram, it.vcpus) for it in asked.two_flavors())
    assert made.has_flavor(*here)
    servers.resize(made.id, there[0])
    waiting = asked.in_status(made.id, "VERIFY_RESIZE")
    assert waiting.has_flavor(*there)
    assert waiting.volumes == made.volumes
    end = servers.revert_resize if taken_back else servers.confirm_resize
    end(made.id)
    with contextlib.suppress(errors.CloudAway):  # for later, as all that a state does not allow
        end(made.id)
    ended = asked.in_status(made.id, "ACTIVE")
    assert ended.has_flavor(*(here if taken_back else there))
    assert (ended.volumes, ended.owner) == (made.volumes, asked.instance_id)
    assert ended.host_id == (made if taken_back else waiting).host_id


@pytest.mark.usefixtures("keeping")
def test_a_delete_ends_a_server_whether_or_not_nova_keeps_deleted_ones(asked: Asked) -> None:
    made = asked.server()
    (volume_id,) = made.volumes
    servers.delete(made.id)
    until(lambda: not servers.find(asked.instance_id), "the server is gone")
    until(lambda: asked.status_of(volume_id) == "available", "the volume is free")
    servers.delete(made.id)  # one that is gone is fine


@pytest.mark.usefixtures("keeping")
def test_what_somebody_else_deleted_frees_its_volume_at_the_latest_when_we_ask(
    asked: Asked,
) -> None:
    made = asked.server()
    (volume_id,) = made.volumes
    asked.service.api.compute.delete_server(made.id)
    until(lambda: not servers.find(asked.instance_id), "no list shows the server")
    assert servers.get(made.id) is None
    if kept := servers.find_soft_deleted(made.id):
        assert kept.owner == asked.instance_id
        held = volumes.get(volume_id)
        assert held is not None
        assert (held.status, held.server_ids) == ("in-use", (made.id,))
        servers.delete(made.id)
    until(lambda: asked.status_of(volume_id) == "available", "the volume is free")
    assert servers.find_soft_deleted(made.id) is None


def test_a_server_in_build_is_deleted_too(asked: Asked) -> None:
    home = asked.network_of(asked.tenant, "10.70.0.0/24")
    port, disk = asked.port(home.id, asked.group().id), asked.volume()
    server_id = asked.ask_for_server(port.id, disk.id)
    servers.delete(server_id)
    until(lambda: not servers.find(asked.instance_id), "the server is gone")
    until(lambda: asked.status_of(disk.id) == "available", "the volume is free")


@pytest.mark.parametrize("size_gib", [0, -1])
def test_a_volume_of_no_size_is_refused_for_good(asked: Asked, size_gib: int) -> None:
    assert type(refused(lambda: asked.volume(size_gib))) is errors.Refused
