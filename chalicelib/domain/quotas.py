"""Quotas: what an instance holds, and whether it still fits."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from chalicelib.errors import OverLimit

RESOURCES: Final = ("instances", "ram", "volumes", "backups")
UNLIMITED: Final = -1


def held_by_instance(ram_mib: int, volume_gib: int) -> dict[str, int]:
    """The units an instance holds while it exists: itself, its memory (MiB), its disk (GiB)."""
    return {"instances": 1, "ram": ram_mib, "volumes": volume_gib}


def require_fit(
    used: Mapping[str, int], delta: Mapping[str, int], limits: Mapping[str, int]
) -> None:
    """Refuse what would exceed a limit, in Trove's words (413)."""
    exceeded = sorted(
        resource
        for resource, amount in delta.items()
        if limits[resource] != UNLIMITED and used.get(resource, 0) + amount > limits[resource]
    )
    if exceeded:
        raise OverLimit(f"Quota exceeded for resources: {exceeded}.")
