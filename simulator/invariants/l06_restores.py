"""L6: a restored datastore holds exactly what the backup point held."""

from __future__ import annotations

from simulator.invariants.base import Invariant


class Restores(Invariant):
    """Waits for backups and restores."""

    id = "L6"
    title = "A restored datastore holds exactly what the backup point held"
    unreachable = "there are no restores in this release"
