"""Waiting for what somebody else writes: the looks at it, and the pauses before them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from chalicelib import aws

LEAST_PAUSE_SECONDS: Final = 0.01
MOST_PAUSE_SECONDS: Final = 1.0
SHARE: Final = 0.1
"""The pause before each look, as a share of the time that was waited already: what is waited for is
found at most that much later than it came, with some 70 looks in 20 s for what does not come."""


def looks(since: float, until: float) -> Iterator[None]:
    """The looks at what is waited for since a time, each after a pause, until another time."""
    while (now := aws.clock()) < until:
        aws.sleep(min(max((now - since) * SHARE, LEAST_PAUSE_SECONDS), MOST_PAUSE_SECONDS))
        yield
