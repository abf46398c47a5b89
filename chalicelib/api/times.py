"""Times in bodies: Trove's naive seconds, and milliseconds with a zone where Trove has nothing."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated

import msgspec

Naive = Annotated[
    str, msgspec.Meta(pattern=r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d$", examples=["2026-11-26T21:24:23"])
]
"""In UTC."""
Exact = Annotated[
    str,
    msgspec.Meta(extra_json_schema={"format": "date-time"}, examples=["2026-11-26T21:24:23.512Z"]),
]


def naive(seconds: float) -> str:
    """`YYYY-MM-DDTHH:MM:SS` in UTC, without a zone, as Trove's clients expect it."""
    return datetime.fromtimestamp(int(seconds), UTC).strftime("%Y-%m-%dT%H:%M:%S")


def exact_if_known(seconds: float | None) -> str | None:
    """The same as `exact`, or None."""
    return exact(seconds) if seconds is not None else None


def exact(seconds: float) -> str:
    """ISO 8601 with milliseconds and `Z`."""
    moment = datetime.fromtimestamp(float(seconds), UTC)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")
