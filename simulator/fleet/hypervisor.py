"""The hypervisor of the simulated cloud: servers are fake guests, volumes are datastores."""

from __future__ import annotations

from collections import deque
from typing import Final

from chalicelib.bus.contract import RELEASE
from simulator.cloud.model.seams import Done, GuestSpec, GuestVolume
from simulator.fleet.datastore import Volume
from simulator.fleet.disk import Disk
from simulator.fleet.guest import Guest
from simulator.fleet.surroundings import Surroundings

GRAVES: Final = 256
"""How many dead guests are kept, for those that come back."""


class SimHypervisor:
    """`simulator.cloud.model.seams.Hypervisor` in virtual time. What it is asked is done at once;
    a guest's boot takes its time after that, as Nova calls a server ACTIVE before it has booted."""

    def __init__(self, around: Surroundings) -> None:
        self.around = around
        self.guests: dict[str, Guest] = {}
        self._serving: dict[str, list[Guest]] = {}
        self.graves: deque[Guest] = deque(maxlen=GRAVES)
        self._disks: dict[str, int] = {}
        self.snapshots: dict[str, Volume] = {}

    @property
    def volumes(self) -> dict[str, Volume]:
        """Every volume by id."""
        return self.around.volumes

    def boot(self, spec: GuestSpec, done: Done) -> None:
        """Make the disk and switch the server on."""
        self.make(spec).power_on()
        done(None)

    def make(self, spec: GuestSpec) -> Guest:
        """A server with a new disk, switched off."""
        self._take(spec.server_id)
        number = self._disks[spec.server_id] = self._disks.get(spec.server_id, 0) + 1
        release = self.around.release() if number == 1 else RELEASE
        guest = self.guests[spec.server_id] = Guest(self.around, spec, Disk(number, release))
        if guest.agent_file is not None:
            self._serving.setdefault(guest.agent_file.instance_id, []).append(guest)
        return guest

    def of_instance(self, instance_id: str) -> list[Guest]:
        """The servers whose agents serve that instance; asked at each report of a guest."""
        return list(self._serving.get(instance_id, ()))

    def rebuild(self, spec: GuestSpec, done: Done) -> None:
        """A new disk, with the same volumes; the old machine is remembered."""
        self._bury(spec.server_id)
        self.boot(spec, done)

    def stop(self, server_id: str, done: Done) -> None:
        """Power off."""
        if server_id in self.guests:
            self.guests[server_id].power_off()
        done(None)

    def start(self, server_id: str, done: Done) -> None:
        """Power on from the disk that is there."""
        guest = self.guests.get(server_id)
        if guest is not None:
            guest.power_on()
        done(None if guest is not None else "the server has no disk")

    def destroy(self, server_id: str, done: Done) -> None:
        """Power off and remove the disk; the old machine is remembered."""
        self._bury(server_id)
        self._disks.pop(server_id, None)
        done(None)

    def attach_volume(self, server_id: str, volume: GuestVolume, done: Done) -> None:
        """Plug a volume in."""
        if server_id in self.guests:
            self.guests[server_id].volume_id = volume.volume_id
        done(None)

    def detach_volume(self, server_id: str, volume: GuestVolume, done: Done) -> None:
        """Unplug a volume."""
        guest = self.guests.get(server_id)
        if guest is not None and guest.volume_id == volume.volume_id:
            guest.volume_id = None
        done(None)

    def create_volume(
        self, volume_id: str, size_gib: int, snapshot_id: str | None, done: Done
    ) -> None:
        """Make a volume, empty or with what a snapshot holds."""
        made = self.around.volumes[volume_id] = Volume(size_gib)
        if snapshot_id is not None:
            made.begin_with(self.snapshots[snapshot_id])
        done(None)

    def extend_volume(self, volume_id: str, size_gib: int) -> None:
        """Make the device larger; what is on it keeps its size."""
        self.around.volumes[volume_id].size_gib = size_gib

    def delete_volume(self, volume_id: str, done: Done) -> None:
        """Remove a volume and what is on it."""
        self.around.volumes.pop(volume_id, None)
        done(None)

    def create_snapshot(self, snapshot_id: str, volume_id: str, done: Done) -> None:
        """Keep what is on a volume now."""
        self.snapshots[snapshot_id] = self.around.volumes[volume_id].copied()
        done(None)

    def delete_snapshot(self, snapshot_id: str, done: Done) -> None:
        """Remove a snapshot."""
        self.snapshots.pop(snapshot_id, None)
        done(None)

    def _bury(self, server_id: str) -> None:
        guest = self._take(server_id)
        if guest is not None:
            guest.freeze()
            self.graves.append(guest)

    def _take(self, server_id: str) -> Guest | None:
        """Take a server from those that there are."""
        guest = self.guests.pop(server_id, None)
        if guest is not None and guest.agent_file is not None:
            serving = self._serving[guest.agent_file.instance_id]
            serving.remove(guest)
            if not serving:
                del self._serving[guest.agent_file.instance_id]
        return guest
