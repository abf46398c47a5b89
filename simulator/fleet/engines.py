"""Which engines an image of the simulated cloud installs, and whether they start."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, NamedTuple


class Engine(NamedTuple):
    """A database server of a version. One that does not start ends while it starts."""

    number: str
    starts: bool = True


USUAL: Final[Mapping[str, Engine]] = {
    "mariadb": Engine("10.11.6"),
    "mysql": Engine("10.11.6"),
    "mysqld": Engine("9.7.4"),
    "postgresql": Engine("15.14"),
    "redis": Engine("7.0.15"),
}
"""Of every image that nothing else is said of, by the names of managers."""
