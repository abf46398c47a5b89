"""I12: every completed backup has all its ancestors, completed and intact."""

from __future__ import annotations

from simulator.invariants.base import Invariant


class BackupChains(Invariant):
    """Waits for backups."""

    id = "I12"
    title = "Every completed backup has all its ancestors; none is deleted under a child"
    unreachable = "there are no backups in this release"
