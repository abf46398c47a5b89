"""A Nova server as data, and how its status follows from what it is and what is done to it."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field

from simulator.cloud.model.devices import DEFAULT_BUS
from simulator.cloud.model.flavors import Flavor
from simulator.cloud.model.settings import HOSTS, ZONE

BUILDING, ACTIVE, STOPPED, ERROR = "building", "active", "stopped", "error"
RESIZED = "resized"
SOFT_DELETED = "soft-delete"

_STATUS_OF_TASK = {
    "rebooting": "REBOOT",
    "reboot_started": "REBOOT",
    "rebooting_hard": "HARD_REBOOT",
    "reboot_started_hard": "HARD_REBOOT",
    "rebuilding": "REBUILD",
    "rebuild_spawning": "REBUILD",
    "resize_prep": "RESIZE",
    "resize_migrating": "RESIZE",
    "resize_finish": "RESIZE",
    "resize_reverting": "REVERT_RESIZE",
}
_STATUS_OF_VM = {
    BUILDING: "BUILD",
    ACTIVE: "ACTIVE",
    STOPPED: "SHUTOFF",
    ERROR: "ERROR",
    RESIZED: "VERIFY_RESIZE",
    SOFT_DELETED: "SOFT_DELETED",
}
_POWER_OF_VM = {BUILDING: 0, ACTIVE: 1, STOPPED: 4, ERROR: 0, RESIZED: 1, SOFT_DELETED: 4}


@dataclass(frozen=True)
class ServerFault:
    """Why a server is in ERROR."""

    code: int
    message: str
    created: float


@dataclass(slots=True)
class ServerAction:
    """What somebody has had done to a server; Nova keeps it as long as the server.

    It has finished when the server has no task any more.
    """

    action: str
    started: float
    request_id: str
    user_id: str
    project_id: str
    finished: float | None = None


@dataclass(slots=True)
class ServerVolume:
    """A volume in a server and its device name (`/dev/vdb`, see `devices`)."""

    volume_id: str
    device: str
    delete_on_termination: bool = False


@dataclass(frozen=True)
class Before:
    """What a resize goes back to. `confirming`: it was confirmed, which takes its time."""

    flavor: Flavor
    host: str
    vm_state: str
    confirming: bool = False


@dataclass(slots=True)
class Server:
    """A server. `user_data` is base64 as it came; `run` changes whenever a new task takes over.

    `before` from the begin of a resize until it is confirmed or reverted.
    """

    id: str
    name: str
    project_id: str
    user_id: str
    flavor: Flavor
    image_id: str
    created_at: float
    updated_at: float
    metadata: dict[str, str] = field(default_factory=dict)
    user_data: str | None = field(default=None, repr=False)
    port_ids: list[str] = field(default_factory=list)
    own_port_ids: frozenset[str] = frozenset()
    volumes: list[ServerVolume] = field(default_factory=list)
    tags: list[str] = field(default_factory=list)
    description: str | None = None
    key_name: str | None = None
    availability_zone: str = ZONE
    config_drive: bool = True
    disk_bus: str = DEFAULT_BUS
    vm_state: str = BUILDING
    task_state: str | None = "scheduling"
    fault: ServerFault | None = None
    launched_at: float | None = None
    host: str = HOSTS[0]
    before: Before | None = None
    group_id: str | None = None
    actions: list[ServerAction] = field(default_factory=list)
    run: int = 0

    @property
    def status(self) -> str:
        """The status that clients see, from vm_state and task_state as Nova derives it."""
        tasks = (ACTIVE, STOPPED, ERROR, RESIZED)
        if self.vm_state in tasks and self.task_state in _STATUS_OF_TASK:
            return _STATUS_OF_TASK[self.task_state]
        return _STATUS_OF_VM[self.vm_state]

    @property
    def power_state(self) -> int:
        """Nova's number: 0 no state, 1 running, 4 shut down."""
        off = self.before is not None and self.before.vm_state == STOPPED
        return _POWER_OF_VM[STOPPED if off and self.vm_state == RESIZED else self.vm_state]

    @property
    def host_id(self) -> str:
        """What its project sees of its host: not the name, but whether it is another one."""
        if self.launched_at is None:
            return ""
        return hashlib.sha224(f"{self.project_id}{self.host}".encode()).hexdigest()

    @property
    def hostname(self) -> str:
        """The name as a host name: letters, digits and dashes."""
        kept = "".join(c if c.isascii() and c.isalnum() else "-" for c in self.name.lower())
        return kept.strip("-")[:63] or f"server-{self.id}"


@dataclass(frozen=True)
class VolumeWish:
    """A volume named in `block_device_mapping_v2`."""

    volume_id: str
    device: str | None = None
    delete_on_termination: bool = False


@dataclass(frozen=True)
class NetworkWish:
    """A card named in `networks`: a port that exists, or a network to make a port on."""

    port_id: str | None = None
    network_id: str | None = None
    address: str | None = None


@dataclass(frozen=True)
class ServerWish:
    """What a client asks for when it creates a server; networks None means Nova's choice."""

    name: str
    flavor_id: str
    image_id: str
    networks: tuple[NetworkWish, ...] | None
    volumes: tuple[VolumeWish, ...] = ()
    metadata: dict[str, str] = field(default_factory=dict)
    user_data: str | None = field(default=None, repr=False)
    security_groups: tuple[str, ...] = ()
    tags: tuple[str, ...] = ()
    description: str | None = None
    key_name: str | None = None
    availability_zone: str | None = None
    group_id: str | None = None
    config_drive: bool = True
