"""The services' time: the local clock corrected by the Date headers of their answers."""

from __future__ import annotations

from datetime import UTC
from email.utils import parsedate_to_datetime
from typing import Final

from chalicelib import aws

_RESOLUTION: Final = 1.0  # seconds; a Date header has no fraction


class ServiceClock:
    """Seconds since the epoch as the services see them.

    A header that says D, received between the local times `asked` and `answered`, means that the
    offset lies in [D - answered, D + 1 - asked]. One that does is kept; else the nearest bound is
    taken, so that the offset does not wander with every header.
    """

    __slots__ = ("_measured", "offset")

    def __init__(self) -> None:
        self.offset = 0.0
        self._measured = False

    def now(self) -> float:
        """The corrected time."""
        return aws.clock() + self.offset

    def observe(self, date: str | None, asked: float, answered: float) -> None:
        """Learn from one Date header; `asked` and `answered` are times of the local clock."""
        told = _parse(date)
        if told is None or answered < asked:  # no header, or the local clock was set meanwhile
            return
        low, high = told - answered, told + _RESOLUTION - asked
        if not self._measured:
            self.offset = 0.0 if low <= 0.0 <= high else (low + high) / 2
            self._measured = True
        else:
            self.offset = min(max(self.offset, low), high)


def _parse(date: str | None) -> float | None:
    if not date:
        return None
    try:
        parsed = parsedate_to_datetime(date)
    except (ValueError, OverflowError):
        return None
    return (parsed if parsed.tzinfo else parsed.replace(tzinfo=UTC)).timestamp()
