"""The model in virtual time: no HTTP, no process, no real clock, and the same ids every time."""

from __future__ import annotations

import pytest

from simulator.cloud.model.errors import Conflict, Unauthorized
from simulator.cloud.model.faults import Fault
from simulator.cloud.model.identity import stable_id
from tests.cloud.virtual import World, make_world, states


@pytest.fixture
def world() -> World:
    return make_world()


def test_a_build_goes_through_its_tasks_at_their_times(world: World) -> None:
    server = world.server(world.volume_id())
    assert states(server) == ("BUILD", "scheduling")
    world.time.run(0.051)
    assert server.task_state == "networking"
    world.time.run(0.05)
    assert server.task_state == "block_device_mapping"
    world.time.run(0.05)
    assert states(server) == ("ACTIVE", None)
    assert world.hypervisor.log == ["create volume", "boot db at 127.77.1.1"]


def test_a_delete_overtakes_a_build_and_gives_everything_back(world: World) -> None:
    volume_id = world.volume_id()
    server = world.server(volume_id)
    world.cloud.compute.delete(world.caller, server.id)
    world.time.run(10)
    assert world.cloud.compute.servers == {}
    assert world.cloud.network.ports == {}
    assert world.cloud.volume.volumes[volume_id].status == "available"
    assert "boot" not in " ".join(world.hypervisor.log)


def test_a_delete_that_hangs_ends_when_it_is_asked_for_again(world: World) -> None:
    server = world.server(world.volume_id())
    world.time.run(1)
    world.cloud.faults.arm(Fault("f", "compute", "delete_server", "stuck"))
    world.cloud.compute.delete(world.caller, server.id)
    world.time.run(3600)
    assert server.task_state == "deleting"
    world.cloud.compute.delete(world.caller, server.id)
    world.time.run(1)
    assert world.cloud.compute.servers == {}


def test_addresses_are_unique_and_not_handed_out_again_at_once(world: World) -> None:
    network = world.cloud.network
    network_id = stable_id("network", "private")
    ports = [network.create_port(world.caller, network_id) for _ in range(300)]
    addresses = [port.fixed_ips[0][1] for port in ports]
    assert len(set(addresses)) == 300
    assert not any(address.startswith("127.77.0.") for address in addresses)
    network.delete_port(world.caller, ports[-1].id)
    assert network.create_port(world.caller, network_id).fixed_ips[0][1] not in addresses


def test_a_small_network_runs_out_of_addresses(world: World) -> None:
    network = world.cloud.network.create_network(world.caller, "small")
    world.cloud.network.create_subnet(world.caller, network.id, "10.0.0.0/29")
    for _ in range(5):
        world.cloud.network.create_port(world.caller, network.id)
    with pytest.raises(Conflict, match="No more IP addresses"):
        world.cloud.network.create_port(world.caller, network.id)


def test_a_token_ends_on_time_and_one_made_of_it_ends_with_it(world: World) -> None:
    identity = world.cloud.identity
    user = identity.user(world.caller.user_id)
    token = identity.issue(user, None, ("password",))
    world.time.run(3000)
    project = identity.project(world.caller.project_id)
    scoped = identity.issue(user, project, ("token",), token)
    assert identity.token(scoped.secret) == scoped
    world.time.run(600)
    assert identity.token(token.secret) is None
    assert identity.token(scoped.secret) is None


def test_a_user_without_a_role_on_a_project_gets_no_token_for_it(world: World) -> None:
    identity = world.cloud.identity
    stranger = identity.add_user("stranger", "pw")
    with pytest.raises(Unauthorized):
        identity.issue(stranger, identity.project(world.caller.project_id), ("password",))
    assert "pw" not in repr(stranger)
