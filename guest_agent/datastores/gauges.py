"""An engine's counters, and what two looks at them make of one another."""

from __future__ import annotations

from typing import Final, NamedTuple

from chalicelib.bus.contract.metrics import NOTHING, EngineMetrics, rounded

METRICS_SECONDS: Final = 1.0
"""To ask an engine for its counters, beside a heartbeat that waits for them."""
LONGEST_POSITION: Final = 64


class Counters(NamedTuple):
    """What an engine says at one moment; what only grows, since it was started."""

    connections: int
    connection_limit: int
    work: int
    """Statements, transactions or commands."""
    hits: int
    """Reads that memory answered."""
    reads: int
    position: str = ""


class Gauges:
    """Keeps the last look, for the rates of the next one. It is lost with the agent's process."""

    def __init__(self, engine: str) -> None:
        self._engine = engine
        self._last: tuple[float, Counters] | None = None

    def read(self, counters: Counters | None, now: float) -> EngineMetrics:
        """The metrics of this moment (monotonic); none of an engine that told nothing."""
        before = self._last
        self._last = None if counters is None else (now, counters)
        if counters is None:
            return NOTHING
        rate = hits = None
        if before is not None and before[0] < now and before[1].work <= counters.work:
            rate = (counters.work - before[1].work) / (now - before[0])
            reads = counters.reads - before[1].reads
            if reads > 0:
                hits = min(max((counters.hits - before[1].hits) / reads, 0.0), 1.0)
        position = counters.position if len(counters.position) <= LONGEST_POSITION else ""
        return rounded(
            EngineMetrics(
                engine=self._engine,
                connections=counters.connections,
                connection_limit=counters.connection_limit,
                per_second=rate,
                cache_hits=hits,
                position=position or None,
            )
        )
