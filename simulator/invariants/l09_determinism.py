"""L9: the same seed gives the same trace, byte for byte, in another process and hash seed."""

from __future__ import annotations

from simulator.invariants.base import Invariant


class Determinism(Invariant):
    """Is told the hash of a second run of the same plan, when a runner makes one."""

    id = "L9"
    title = "The same seed gives the same trace, in another process and under another hash seed"
    unreachable = "nothing ran this plan a second time; run with --verify"
    unanswered = ""
    """Why the second run has no trace; no verdict then."""

    def compare(self, first: str, second: str) -> None:
        """The trace hashes of two runs of one plan."""
        self.exercised += 1
        if first != second:
            self.broken(f"one trace is {first[:16]}…, the other {second[:16]}…")

    def broke_off(self, text: str) -> None:
        """The first run came to its end, and the second raised an error: so they differ."""
        self.exercised += 1
        self.broken(f"the second run broke off: {text}")

    @property
    def reason(self) -> str:
        return self.unanswered or super().reason
