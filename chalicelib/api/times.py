"""Times in bodies: Trove's naive seconds, and milliseconds with a zone where Trove has nothing."""

from __future__ import annotations

from datetime import UTC, datetime


def naive(seconds: float) -> str:
    """`YYYY-MM-DDTHH:MM:SS` in UTC, without a zone, as Trove's clients expect it."""
    return datetime.fromtimestamp(int(seconds), UTC).strftime("%Y-%m-%dT%H:%M:%S")


def exact(seconds: float | None) -> str | None:
    """ISO 8601 with milliseconds and `Z`, or None."""
    if seconds is None:
        return None
    moment = datetime.fromtimestamp(float(seconds), UTC)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")
