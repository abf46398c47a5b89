"""The engines: each declared once, in a module of its own, for the API, the steps, the guests and
the simulator.

Nothing of ours is imported here, so that both sides of the bus can. `docs/adding-a-datastore.md`
says what one more takes.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

from chalicelib.engines import mariadb, mysql, postgresql, redis
from chalicelib.engines.engine import Engine, Part
from chalicelib.engines.parameter import Scalar

ENGINES: Final[Mapping[str, Engine]] = {
    "mysql": mariadb.ENGINE,
    "mariadb": mariadb.ENGINE,
    "mysqld": mysql.ENGINE,
    "postgresql": postgresql.ENGINE,
    "redis": redis.ENGINE,
}
"""By the names of their managers."""
_NUMBERS: Final = re.compile(r"[0-9]{1,9}(?:\.[0-9]{1,9}){0,7}(?![0-9])")


def tcp_ports(manager: str) -> tuple[int, ...]:
    """The ports that the security group opens."""
    return ENGINES[manager].tcp_ports


def mount_point(manager: str) -> str:
    """Where the guest mounts the data volume."""
    return ENGINES[manager].mount_point


def superuser(manager: str) -> str:
    """Whom `POST root` enables."""
    return ENGINES[manager].superuser


def chosen_for(manager: str, ram_mib: int, volume_gib: int) -> Mapping[str, Scalar]:
    """What a server of so much memory on a volume of that size runs with, where nobody has chosen
    something else."""
    return ENGINES[manager].chosen_for(ram_mib, volume_gib)


def can(manager: str, part: Part) -> bool:
    """Whether its guests answer the methods of that part."""
    return ENGINES[manager].can(part)


def capabilities(manager: str) -> list[str]:
    """Its parts by name; what is not among them is 501."""
    return sorted(ENGINES[manager].parts)


def series_of(manager: str, numbers: tuple[int, ...]) -> tuple[int, ...] | None:
    """The series that a version belongs to, or None when its number does not say."""
    length = ENGINES[manager].series
    return numbers[:length] if len(numbers) >= length else None


def numbers_of(version: str) -> tuple[int, ...]:
    """The numbers with which a version begins: (10, 11, 6) of `10.11.6-MariaDB`; () of none."""
    found = _NUMBERS.match(version)
    return tuple(map(int, found[0].split("."))) if found else ()
