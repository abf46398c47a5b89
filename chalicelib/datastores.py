"""What each datastore manager is: its ports, where its data lives, and what its guests can do.

Nothing of ours is imported here, so that both sides of the bus can. `docs/adding-a-datastore.md`
says what one more takes.
"""

from __future__ import annotations

import re
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
    UPGRADES = "upgrades"


class Manager(msgspec.Struct, frozen=True):
    """Facts of one manager of the guest agent; it answers the methods of its `parts`.

    `tcp_ports` are what the security group opens (Trove's, without Galera's). So many leading
    numbers of a version name its `series`, within which an older engine reads what a newer one has
    written.
    """

    tcp_ports: tuple[int, ...]
    mount_point: str
    parts: frozenset[Part]
    series: int = 1


_MARIADB: Final = Manager(
    tcp_ports=(3306,),
    mount_point="/var/lib/mysql",
    parts=frozenset({Part.DATABASES, Part.USERS, Part.ROOT, Part.UPGRADES}),
    series=2,  # 10.11 and 11.4 are major releases of MariaDB
)
MANAGERS: Final[Mapping[str, Manager]] = {"mysql": _MARIADB, "mariadb": _MARIADB}
_NUMBERS: Final = re.compile(r"[0-9]{1,9}(?:\.[0-9]{1,9}){0,7}(?![0-9])")


def tcp_ports(manager: str) -> tuple[int, ...]:
    """The ports that the security group opens."""
    return MANAGERS[manager].tcp_ports


def mount_point(manager: str) -> str:
    """Where the guest mounts the data volume."""
    return MANAGERS[manager].mount_point


def can(manager: str, part: Part) -> bool:
    """Whether its guests answer the methods of that part."""
    return part is Part.SERVER or part in MANAGERS[manager].parts


def series_of(manager: str, numbers: tuple[int, ...]) -> tuple[int, ...] | None:
    """The series that a version belongs to, or None when its number does not say."""
    length = MANAGERS[manager].series
    return numbers[:length] if len(numbers) >= length else None


def numbers_of(version: str) -> tuple[int, ...]:
    """The numbers with which a version begins: (10, 11, 6) of `10.11.6-MariaDB`; () of none."""
    found = _NUMBERS.match(version)
    return tuple(map(int, found[0].split("."))) if found else ()
