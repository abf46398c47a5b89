"""What the control plane knows of each datastore manager: its ports and where its data lives."""

from __future__ import annotations

from typing import Final

import msgspec


class Manager(msgspec.Struct, frozen=True):
    """Facts of one manager of the guest agent."""

    tcp_ports: tuple[int, ...]
    mount_point: str


MANAGERS: Final[dict[str, Manager]] = {
    "mysql": Manager(tcp_ports=(3306,), mount_point="/var/lib/mysql"),
    "mariadb": Manager(tcp_ports=(3306,), mount_point="/var/lib/mysql"),
}


def tcp_ports(manager: str) -> tuple[int, ...]:
    """The ports that the security group opens (Trove's `tcp_ports`, without Galera's)."""
    return MANAGERS[manager].tcp_ports


def mount_point(manager: str) -> str:
    """Where the guest mounts the data volume."""
    return MANAGERS[manager].mount_point
