"""Other projects' programs, each in a virtual environment of its own below the cache."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from infra.package import tools
from infra.package.sources import PROJECT_ROOT

CACHE: Final = PROJECT_ROOT / ".cache"
SECONDS: Final = 1800
"""The first time of a tree, when its packages come over the network: the services of OpenStack."""


def installed(name: str, requirements: str) -> Path:
    """The folder of the environment with the packages of a list, which names all that they need."""
    listed = PROJECT_ROOT / "tests" / requirements
    return tools.environment(name, listed, CACHE, whole=True, seconds=SECONDS)
