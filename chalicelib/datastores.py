"""What each datastore manager is: its ports, where its data lives, and what its guests can do.

Nothing of ours is imported here, so that both sides of the bus can. `docs/adding-a-datastore.md`
says what one more takes.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Final

import msgspec


class Part(StrEnum):
    """What a method of the guest contract is about. Every datastore has a SERVER."""

    SERVER = "server"
    DATABASES = "databases"
    USERS = "users"
    ROOT = "root"


class Manager(msgspec.Struct, frozen=True):
    """Facts of one manager of the guest agent; it answers the methods of its `parts`.

    `tcp_ports` are what the security group opens (Trove's, without Galera's).
    """

    tcp_ports: tuple[int, ...]
    mount_point: str
    parts: frozenset[Part]


_MARIADB: Final = Manager(
    tcp_ports=(3306,),
    mount_point="/var/lib/mysql",
    parts=frozenset({Part.DATABASES, Part.USERS, Part.ROOT}),
)
MANAGERS: Final[Mapping[str, Manager]] = {"mysql": _MARIADB, "mariadb": _MARIADB}


def tcp_ports(manager: str) -> tuple[int, ...]:
    """The ports that the security group opens."""
    return MANAGERS[manager].tcp_ports


def mount_point(manager: str) -> str:
    """Where the guest mounts the data volume."""
    return MANAGERS[manager].mount_point


def can(manager: str, part: Part) -> bool:
    """Whether its guests answer the methods of that part."""
    return part is Part.SERVER or part in MANAGERS[manager].parts
