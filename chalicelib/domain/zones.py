"""Cinder's zones beside Nova's: they are two lists, and each cloud has its own way between them.

    ""                     Cinder's own choice, whatever zone the server is in (the default)
    *=*                    the zone of the same name
    *=ceph                 one zone for all
    az1=ceph1,az2=ceph2    one for each; any other zone: Cinder's own choice

Nova attaches a volume of another zone unless its operator forbids it (`cross_az_attach`).
"""

from __future__ import annotations

from typing import Final

PATTERN: Final = r"^([^=,\s]+=[^=,\s]+(,[^=,\s]+=[^=,\s]+)*)?$"
ANY: Final = "*"


def volume_zone(mapping: str, zone: str | None) -> str | None:
    """The zone of the volume of a server in `zone`, or None for Cinder's own choice."""
    pairs = dict(pair.split("=") for pair in mapping.split(",") if pair)
    found = pairs.get(zone or ANY, pairs.get(ANY))
    return zone if found == ANY else found
