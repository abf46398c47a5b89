"""What the bus refused, counted: a row for each day, kind, reason and shard, never one for each.

Whoever sends junk decides how much of it comes. Here a batch of it costs one small write for each
reason, spread over the shards of a day, and there are only as many rows as the code knows reasons.
"""

from __future__ import annotations

import logging
from collections import Counter
from typing import Final

from chalicelib.bus.envelope import EnvelopeError
from chalicelib.metrics import REFUSALS, Measured
from chalicelib.store import events

OTHER: Final = "Other"

log = logging.getLogger(__name__)


class Tally:
    """Counts refusals of one kind in memory until `store` adds them to the rows of the day."""

    def __init__(self, kind: str) -> None:
        self._kind = kind
        self._counts: Counter[str] = Counter()
        self._last: dict[str, str] = {}

    def add(self, refusal: str) -> None:
        """Count one, told as "Reason: a sentence"; a reason that no class of ours names is `OTHER`.

        SQS carries attributes along, so that a guest may have written the reason of a dead letter.
        """
        name = refusal.partition(":")[0]
        reason = name if name in _reasons(EnvelopeError) else OTHER
        self._counts[reason] += 1
        self._last[reason] = refusal

    @property
    def total(self) -> int:
        """How many were counted that are not stored yet."""
        return self._counts.total()

    def store(self) -> None:
        """Tell the log and the day's rows, once; what the table raises is the caller's to judge."""
        while self._counts:
            reason, times = self._counts.popitem()
            measured = [Measured(REFUSALS, times)]
            said = {"measured": measured, "reason": reason}
            log.warning(
                "%s, %d times, at last: %s", self._kind, times, self._last[reason], extra=said
            )
            events.count(self._kind, reason, times, self._last[reason])


def _reasons(kind: type[EnvelopeError]) -> set[str]:
    return {kind.__name__}.union(*(_reasons(each) for each in kind.__subclasses__()))
