"""A leaky bucket as one number, the time at which it will be empty: in memory, or in a row."""

from __future__ import annotations

from typing import Final, NamedTuple

FUZZ: Final = 1e-6
"""What sums of fractions may be wrong by."""


class Rate(NamedTuple):
    """So many requests at once, and as many in a period, in any unit of time."""

    most: int
    period: float

    def filled(self, empty_at: float, now: float) -> float:
        """When the bucket will be empty with one request more."""
        return max(empty_at, now) + self.period / self.most

    def wait(self, empty_at: float, now: float) -> float:
        """How long until one more fits; 0 when it does now."""
        over = self.filled(empty_at, now) - now - self.period
        return over if over > FUZZ else 0.0
