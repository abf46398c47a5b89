"""Delays (seconds) and default quotas of the cloud; short by default, so that a build is quick."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

ZONE: Final = "nova"
"""The zone of servers and volumes that nobody has given another name."""
HOSTS: Final = tuple(f"compute-{number}" for number in range(1, 5))
"""The names of its hosts."""


@dataclass(frozen=True)
class Delays:
    """How long each asynchronous transition takes, in seconds, beside the hypervisor's own work."""

    server_build: float = 0.15
    server_delete: float = 0.1
    server_power: float = 0.1
    server_resize: float = 0.3
    volume_create: float = 0.1
    volume_delete: float = 0.1
    slow_delete: float = 5.0

    def scaled(self, factor: float) -> Delays:
        """The same delays, each multiplied by `factor`."""
        return Delays(
            server_build=self.server_build * factor,
            server_delete=self.server_delete * factor,
            server_power=self.server_power * factor,
            server_resize=self.server_resize * factor,
            volume_create=self.volume_create * factor,
            volume_delete=self.volume_delete * factor,
            slow_delete=self.slow_delete,
        )


def _compute_quota() -> dict[str, int]:
    return {
        "instances": 10,
        "cores": 20,
        "ram": 51200,
        "metadata_items": 128,
        "key_pairs": 100,
        "server_groups": 10,
        "server_group_members": 10,
    }


def _volume_quota() -> dict[str, int]:
    return {"volumes": 10, "gigabytes": 1000, "snapshots": 10, "per_volume_gigabytes": -1}


def _network_quota() -> dict[str, int]:
    return {
        "network": 100,
        "subnet": 100,
        "port": 500,
        "security_group": 10,
        "security_group_rule": 100,
        "floatingip": 50,
    }


RAISED: Final[Mapping[str, int]] = {
    "instances": 200,
    "cores": 400,
    "ram": 1024000,
    "server_groups": 200,
    "volumes": 200,
    "snapshots": 200,
    "gigabytes": 20000,
    "port": 500,
    "security_group": 300,
    "security_group_rule": 3000,
    "floatingip": 200,
}
"""What an operator gives the project that has all instances of all tenants."""


@dataclass(frozen=True)
class CloudSettings:
    """What an operator of the simulated cloud may choose. A quota of -1 means without limit.

    The defaults are OpenStack's. All instances of all tenants are the service project's: what an
    operator raises for it at the bootstrap is `service_quota` (see `RAISED`).
    """

    region: str = "RegionOne"
    guest_network: str = "127.77.0.0/16"
    token_seconds: float = 3600.0
    resize_confirm_seconds: float = 0.0
    """After so long one is confirmed by itself (Nova's `resize_confirm_window`); 0 is never."""
    delays: Delays = field(default_factory=Delays)
    compute_quota: dict[str, int] = field(default_factory=_compute_quota)
    volume_quota: dict[str, int] = field(default_factory=_volume_quota)
    network_quota: dict[str, int] = field(default_factory=_network_quota)
    service_quota: Mapping[str, int] = field(default_factory=dict)
    service_roles: tuple[str, ...] = ("member", "service")
    """Those of Coffer's own user on its project."""
    host_role: str = "admin"
    """Who may say to which host a server is migrated (Nova's policy `migrate:host`)."""
    reclaim_seconds: float = 0.0
    """So long Nova keeps a server that was deleted (`reclaim_instance_interval`); 0 is not."""
    zones: tuple[str, ...] = (ZONE,)
    """Nova's zones, the first one for who names none."""
    volume_zones: tuple[str, ...] = (ZONE,)
    """Cinder's zones, likewise."""
