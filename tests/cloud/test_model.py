"""The model in virtual time: no HTTP, no process, no real clock, and the same ids every time."""

from __future__ import annotations

import heapq
from collections.abc import Callable
from dataclasses import dataclass, field

import pytest

from simulator.cloud.model.caller import Caller
from simulator.cloud.model.cloud import Cloud, Passwords
from simulator.cloud.model.errors import Conflict, Unauthorized
from simulator.cloud.model.faults import Fault
from simulator.cloud.model.identity import stable_id
from simulator.cloud.model.seams import Done, GuestSpec, GuestVolume
from simulator.cloud.model.server import NetworkWish, Server, ServerWish, VolumeWish


@dataclass
class VirtualTime:
    """A clock and a scheduler in one; time goes on only in `run`."""

    now: float = 1000.0
    _due: list[tuple[float, int, Callable[[], None]]] = field(default_factory=list)
    _count: int = 0

    def clock(self) -> float:
        return self.now

    def later(self, seconds: float, action: Callable[[], None]) -> None:
        self._count += 1
        heapq.heappush(self._due, (self.now + seconds, self._count, action))

    def run(self, seconds: float) -> None:
        end = self.now + seconds
        while self._due and self._due[0][0] <= end:
            self.now, _, action = heapq.heappop(self._due)
            action()
        self.now = end


class CountingIds:
    """Ids in order, so that two runs are alike."""

    def __init__(self) -> None:
        self._count = 0

    def uuid(self) -> str:
        self._count += 1
        return f"00000000-0000-4000-8000-{self._count:012d}"

    def token(self) -> str:
        return f"token-{self.uuid()}"


class InstantHypervisor:
    """Does everything at once and notes it."""

    def __init__(self) -> None:
        self.log: list[str] = []

    def boot(self, spec: GuestSpec, done: Done) -> None:
        self._note(f"boot {spec.name} at {spec.interfaces[0].address}", done)

    def rebuild(self, spec: GuestSpec, done: Done) -> None:
        self._note(f"rebuild {spec.name}", done)

    def stop(self, server_id: str, done: Done) -> None:
        self._note("stop", done)

    def start(self, server_id: str, done: Done) -> None:
        self._note("start", done)

    def destroy(self, server_id: str, done: Done) -> None:
        self._note("destroy", done)

    def attach_volume(self, server_id: str, volume: GuestVolume, done: Done) -> None:
        self._note("attach", done)

    def detach_volume(self, server_id: str, volume: GuestVolume, done: Done) -> None:
        self._note("detach", done)

    def create_volume(self, volume_id: str, size_gib: int, done: Done) -> None:
        self._note("create volume", done)

    def extend_volume(self, volume_id: str, size_gib: int) -> None:
        self.log.append(f"extend volume to {size_gib}")

    def delete_volume(self, volume_id: str, done: Done) -> None:
        self._note("delete volume", done)

    def _note(self, entry: str, done: Done) -> None:
        self.log.append(entry)
        done(None)


@dataclass
class World:
    """A cloud in virtual time with one caller."""

    time: VirtualTime
    hypervisor: InstantHypervisor
    cloud: Cloud
    caller: Caller

    def server(self, volume_id: str) -> Server:
        network_id = stable_id("network", "private")
        wish = ServerWish(
            name="db",
            flavor_id="1",
            image_id=stable_id("image", "coffer-guest"),
            networks=(NetworkWish(network_id=network_id),),
            volumes=(VolumeWish(volume_id),),
        )
        return self.cloud.compute.create(self.caller, wish)

    def volume_id(self) -> str:
        volume = self.cloud.volume.create(self.caller, 1, name="data")
        self.time.run(1)
        return volume.id


def states(server: Server) -> tuple[str, str | None]:
    """What a client sees of a server's state."""
    return server.status, server.task_state


@pytest.fixture
def world() -> World:
    time, hypervisor = VirtualTime(), InstantHypervisor()
    cloud = Cloud(time.clock, CountingIds(), time.later, hypervisor)
    cloud.bootstrap(Passwords("a", "s", "d", "v"), "http://cloud")
    return World(time, hypervisor, cloud, cloud.admin())


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
