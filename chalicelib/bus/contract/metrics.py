"""What an engine counts of itself, as a heartbeat carries it: a few numbers with bounds.

None is what an engine does not tell, or has not told yet: a rate needs two looks.
"""

from __future__ import annotations

from typing import Annotated, Final

import msgspec

from chalicelib.bus.contract.values import Value

MOST_BYTES: Final = 256
"""Of all of them as JSON."""

Count = Annotated[int, msgspec.Meta(ge=0, le=10**9)]
Rate = Annotated[float, msgspec.Meta(ge=0, le=1e9)]
Share = Annotated[float, msgspec.Meta(ge=0, le=1)]
Position = Annotated[str, msgspec.Meta(min_length=1, pattern=r"^[0-9A-Za-z/,:.-]{1,64}$(?!\n)")]
Engine = Annotated[str, msgspec.Meta(pattern=r"^[a-z]{1,16}$(?!\n)")]


class EngineMetrics(Value, frozen=True):
    """`per_second`: statements (MariaDB), transactions (PostgreSQL), commands (Redis), the agent's
    own among them. `cache_hits` is the share of reads that found what they wanted in memory;
    Redis: of keys that were there. Both are of the time since the last report.
    """

    engine: Engine | None = None
    connections: Count | None = None
    connection_limit: Count | None = None
    per_second: Rate | None = None
    cache_hits: Share | None = None
    position: Position | None = None


NOTHING: Final = EngineMetrics()


def read(told: object) -> EngineMetrics:
    """What a guest has told, or nothing: numbers that do not fit cost it its metrics alone."""
    try:
        found = msgspec.convert(told, EngineMetrics)
    except msgspec.ValidationError:
        return NOTHING
    return rounded(found)


def parse(stored: str | None) -> EngineMetrics:
    """What a row keeps of it, which may be of another release."""
    try:
        return read(msgspec.json.decode(stored or "{}"))
    except msgspec.DecodeError:
        return NOTHING


def rounded(told: EngineMetrics) -> EngineMetrics:
    """With as many digits as anybody reads."""
    return msgspec.structs.replace(
        told,
        per_second=None if told.per_second is None else round(told.per_second, 1),
        cache_hits=None if told.cache_hits is None else round(told.cache_hits, 4),
    )
