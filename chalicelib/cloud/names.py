"""The names by which a step finds what belongs to an instance.

Nova and Cinder have no client token, so the name is what makes a create repeatable.
"""

from __future__ import annotations

import re
from typing import Final

from chalicelib.settings import settings

INSTANCE_KEY: Final = "coffer_instance_id"
GENERATION_KEY: Final = "coffer_generation"

_OWNED: Final = re.compile(r"([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})(?:-[0-9]+)?")


def server(instance_id: str, generation: int) -> str:
    """The name of the server of one generation."""
    return f"{settings().prefix}-{instance_id}-{generation}"


def server_pattern(instance_id: str) -> str:
    """A regular expression (Nova's `name` filter) for the servers of all generations."""
    return f"^{settings().prefix}-{instance_id}-[0-9]+$"


def volume(instance_id: str) -> str:
    """The name of the data volume; it outlives generations."""
    return f"{settings().prefix}-{instance_id}"


def network(instance_id: str) -> str:
    """The name of the port and of the security group."""
    return f"{settings().prefix}-{instance_id}"


def metadata(instance_id: str, generation: int) -> dict[str, str]:
    """What marks a server or volume as an instance's, for people and for the orphan finder."""
    return {INSTANCE_KEY: instance_id, GENERATION_KEY: str(generation)}


def instance_of(name: str) -> str | None:
    """The instance id in a name of ours, or None."""
    prefix = f"{settings().prefix}-"
    found = _OWNED.fullmatch(name.removeprefix(prefix)) if name.startswith(prefix) else None
    return found[1] if found else None
