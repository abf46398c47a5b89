"""How often a project may call: Trove's leaky bucket for each project and verb, in this container.

As in Trove the buckets are in memory, of one process each. What bounds all containers together is
the throttle of the stage (`infra/template`).
"""

from __future__ import annotations

import math
from collections import OrderedDict
from typing import Final

from chalicelib import aws
from chalicelib.errors import OverLimit
from chalicelib.settings import settings

MOST_BUCKETS: Final = 10_000
"""The least used is forgotten beyond these, and its project begins anew."""
SECONDS: Final = 60.0


class Rates:
    """The buckets of one app: each fills by a request and leaks as many a minute as it holds."""

    def __init__(self) -> None:
        self._buckets: OrderedDict[tuple[str, str], tuple[float, float]] = OrderedDict()

    def require(self, project_id: str, verb: str) -> None:
        """Count a request; `OverLimit` (413) in Trove's words when the bucket is full."""
        most = settings().requests_per_minute
        now = aws.monotonic()
        level, since = self._buckets.pop((project_id, verb), (0.0, now))
        level = max(0.0, level - (now - since) * most / SECONDS)
        refused = level + 1 > most
        self._buckets[project_id, verb] = (level if refused else level + 1, now)
        if len(self._buckets) > MOST_BUCKETS:
            self._buckets.popitem(last=False)
        if refused:
            raise OverLimit(
                "This request was rate-limited.",
                details=f"Only {most} {verb} request(s) can be made to * every minute.",
                retry_after_seconds=math.ceil((level + 1 - most) * SECONDS / most),
            )
