"""I7: at most one writable primary per replica set; a promotion fences the old one first."""

from __future__ import annotations

from simulator.invariants.base import Invariant


class OneWriter(Invariant):
    """Waits for replica sets."""

    id = "I7"
    title = "At most one writable primary per replica set; a promotion fences the old one first"
    unreachable = "there are no replica sets in this release"
