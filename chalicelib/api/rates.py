"""How often a project may call: Trove's leaky bucket for each project and verb, in this container.

As in Trove the buckets are in memory, of one process each. What bounds all containers together is
the throttle of the stage (`infra/template`).
"""

from __future__ import annotations

import math
from collections import OrderedDict
from typing import Final

from chalicelib import aws
from chalicelib.domain.rates import Rate
from chalicelib.errors import OverLimit
from chalicelib.settings import settings

MOST_BUCKETS: Final = 10_000
"""The least used is forgotten beyond these, and its project begins anew."""
SECONDS: Final = 60.0


class Rates:
    """The buckets of one app: each fills by a request and leaks as many a minute as it holds."""

    def __init__(self) -> None:
        self._empty_at: OrderedDict[tuple[str, str], float] = OrderedDict()

    def require(self, project_id: str, verb: str) -> None:
        """Count a request; `OverLimit` (413) in Trove's words when the bucket is full."""
        rate = Rate(settings().requests_per_minute, SECONDS)
        now = aws.monotonic()
        empty_at = self._empty_at.pop((project_id, verb), now)
        wait = rate.wait(empty_at, now)
        self._empty_at[project_id, verb] = empty_at if wait else rate.filled(empty_at, now)
        if len(self._empty_at) > MOST_BUCKETS:
            self._empty_at.popitem(last=False)
        if wait:
            raise OverLimit(
                "This request was rate-limited.",
                details=f"Only {rate.most} {verb} request(s) can be made to * every minute.",
                retry_after_seconds=math.ceil(wait),
            )
