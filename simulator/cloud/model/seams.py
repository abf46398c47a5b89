"""What the model needs from whoever runs it: time, ids, a scheduler and something that runs guests.

They are injected so that the HTTP server (real time, real processes) and a virtual-time simulator
drive the very same model.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

Clock = Callable[[], float]
"""Returns unix seconds."""

Done = Callable[[str | None], None]
"""Called once when a hypervisor's work ended: with None, or with the reason why it failed."""


class Scheduler(Protocol):
    """Runs an action later, never before the current one returned."""

    def __call__(self, seconds: float, action: Callable[[], None], /) -> object: ...


class Ids(Protocol):
    """Source of everything that has to be unique or unguessable."""

    def uuid(self) -> str:
        """A UUID with dashes."""
        ...

    def token(self) -> str:
        """An unguessable token for a URL or a header."""
        ...


@dataclass(frozen=True)
class Interface:
    """One network card of a guest; with `dhcp` it has to ask for its address."""

    port_id: str
    mac_address: str
    network_id: str
    address: str
    netmask: str
    gateway: str | None
    dhcp: bool = True


@dataclass(frozen=True)
class GuestVolume:
    """A volume, the device name under which the guest sees it (`/dev/vdb`), and on which bus."""

    volume_id: str
    device: str
    bus: str = "virtio"


@dataclass(frozen=True)
class GuestSpec:
    """Everything that a hypervisor needs to boot a server.

    `local_disks` are the devices of disks that end with it: ephemeral ones and swap.
    """

    server_id: str
    name: str
    hostname: str
    project_id: str
    metadata: Mapping[str, str]
    user_data: bytes
    interfaces: Sequence[Interface]
    volumes: Sequence[GuestVolume]
    local_disks: Sequence[str] = ()
    image_id: str = ""
    config_drive: bool = True


class Hypervisor(Protocol):
    """Runs guests and keeps volumes. Every method returns at once and reports through `done`."""

    def boot(self, spec: GuestSpec, done: Done) -> None:
        """Make the server's disk from its spec and start it."""
        ...

    def rebuild(self, spec: GuestSpec, done: Done) -> None:
        """Stop the server, make its disk afresh (volumes stay as they are) and start it."""
        ...

    def stop(self, server_id: str, done: Done) -> None:
        """Power off: every process of the guest is gone; the disk stays."""
        ...

    def start(self, server_id: str, done: Done) -> None:
        """Power on from the disk that is there."""
        ...

    def destroy(self, server_id: str, done: Done) -> None:
        """Power off and remove the disk. Succeeds for a server that was never booted."""
        ...

    def attach_volume(self, server_id: str, volume: GuestVolume, done: Done) -> None:
        """Plug a volume into a server that has a disk."""
        ...

    def detach_volume(self, server_id: str, volume: GuestVolume, done: Done) -> None:
        """Unplug a volume from a server."""
        ...

    def create_volume(
        self, volume_id: str, size_gib: int, snapshot_id: str | None, done: Done
    ) -> None:
        """Make a volume, empty or with what a snapshot holds."""
        ...

    def extend_volume(self, volume_id: str, size_gib: int) -> None:
        """Make a volume larger, for a server that has it too."""
        ...

    def delete_volume(self, volume_id: str, done: Done) -> None:
        """Remove a volume and what is on it."""
        ...

    def create_snapshot(self, snapshot_id: str, volume_id: str, done: Done) -> None:
        """Keep what is on a volume at one moment, whatever its server is at."""
        ...

    def delete_snapshot(self, snapshot_id: str, done: Done) -> None:
        """Remove a snapshot."""
        ...
