"""Makes Swift's rings: `rings.py FOLDER account=PORT container=PORT object=PORT`."""

from __future__ import annotations

import sys
from pathlib import Path

from swift.common.ring import RingBuilder

PART_POWER = 4
REPLICAS = 1
MIN_PART_HOURS = 1


def main(folder: Path, ports: list[str]) -> None:
    """One ring a kind, in which one device has everything."""
    for kind, port in (each.split("=") for each in ports):
        ring = RingBuilder(PART_POWER, REPLICAS, MIN_PART_HOURS)
        place = {"id": 0, "region": 1, "zone": 1, "ip": "127.0.0.1", "device": "one"}
        ring.add_dev({**place, "port": int(port), "weight": 1})
        ring.rebalance()
        ring.get_ring().save(str(folder / f"{kind}.ring.gz"))


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2:])
