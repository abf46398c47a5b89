"""The model in virtual time, on a hypervisor that does everything at once."""

from __future__ import annotations

import heapq
from collections.abc import Callable
from dataclasses import dataclass, field

from simulator.cloud.model.caller import Caller
from simulator.cloud.model.cloud import Cloud, Passwords
from simulator.cloud.model.identity import stable_id
from simulator.cloud.model.seams import Done, GuestSpec, GuestVolume
from simulator.cloud.model.server import NetworkWish, Server, ServerWish, VolumeWish
from simulator.cloud.model.settings import CloudSettings


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

    def create_volume(
        self, volume_id: str, size_gib: int, snapshot_id: str | None, done: Done
    ) -> None:
        self._note("create volume" + (" of a snapshot" if snapshot_id else ""), done)

    def extend_volume(self, volume_id: str, size_gib: int) -> None:
        self.log.append(f"extend volume to {size_gib}")

    def delete_volume(self, volume_id: str, done: Done) -> None:
        self._note("delete volume", done)

    def create_snapshot(self, snapshot_id: str, volume_id: str, done: Done) -> None:
        self._note("create snapshot", done)

    def delete_snapshot(self, snapshot_id: str, done: Done) -> None:
        self._note("delete snapshot", done)

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


def make_world(settings: CloudSettings | None = None) -> World:
    """A cloud from its start."""
    time, hypervisor = VirtualTime(), InstantHypervisor()
    cloud = Cloud(time.clock, CountingIds(), time.later, hypervisor, settings)
    cloud.bootstrap(Passwords("a", "s", "d", "v"), "http://cloud")
    return World(time, hypervisor, cloud, cloud.admin())
