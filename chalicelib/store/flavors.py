"""The mirror of Nova's flavors."""

from __future__ import annotations

from chalicelib.store.models import Flavor


def all_flavors() -> list[Flavor]:
    """Every flavor, smallest first."""
    return sorted(Flavor.scan(), key=lambda row: (row.ram, row.vcpus, row.disk, row.id))
