"""L9: the same seed gives the same trace, byte for byte, in another process and hash seed."""

from __future__ import annotations

from simulator.invariants.base import Invariant


class Determinism(Invariant):
    """Is told the hash of a second run of the same plan, when a runner makes one."""

    id = "L9"
    title = "The same seed gives the same trace, in another process and under another hash seed"
    unreachable = "this run was not repeated in a second process"

    def compare(self, first: str, second: str) -> None:
        """The trace hashes of two runs of one plan."""
        self.exercised += 1
        if first != second:
            self.broken(f"one trace is {first[:16]}…, the other {second[:16]}…")
