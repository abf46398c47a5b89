"""The metrics of guests for CloudWatch: a line for each engine of a batch, by engine and not by
instance, since each instance would be five metrics that are paid for (decision 54).

Whose values they are stands beside them, in their order, for who searches the lines.
"""

from __future__ import annotations

import logging
from collections import defaultdict
from collections.abc import Callable, Sequence
from typing import Final

import msgspec
from msgspec.structs import replace

from chalicelib.bus.contract.metrics import EngineMetrics
from chalicelib.engines import ENGINES
from chalicelib.metrics import (
    CACHE_HIT_PERCENT,
    CONNECTION_PERCENT,
    CONNECTIONS,
    GUEST_WORK,
    LOG_LAG_SECONDS,
    VOLUME_PERCENT,
    Measured,
    Metric,
)
from chalicelib.settings import settings

BY_INSTANCE: Final = (("instance_id",),)
_ENGINES: Final = frozenset(engine.word for engine in ENGINES.values())

log = logging.getLogger(__name__)


class Told(msgspec.Struct, frozen=True):
    """What one guest has told of itself. Sizes in GiB; `log_lag` in seconds."""

    instance_id: str
    metrics: EngineMetrics
    volume_used: float | None
    volume_total: float | None
    log_lag: float | None = None


def publish(told: Sequence[Told]) -> None:
    """Write the lines. An engine that nobody knows is no guest's to name: it would be a metric."""
    by_engine: dict[str, list[Told]] = defaultdict(list)
    for each in told:
        if each.metrics.engine in _ENGINES:
            by_engine[str(each.metrics.engine)].append(each)
    for engine, guests in sorted(by_engine.items()):
        measured = _measured(guests, {"engine": engine})
        said = {"measured": measured, "instances": [each.instance_id for each in guests]}
        log.info("metrics of %d guests", len(guests), extra=said)
    _publish_lags([each for each in told if each.metrics.engine not in _ENGINES])
    if settings().instance_metrics:
        for each in told:
            measured = [
                replace(one, metric=replace(one.metric, dimensions=BY_INSTANCE))
                for one in _measured([each], {})
            ]
            log.info(
                "metrics of a guest",
                extra={"measured": measured, "instance_id": each.instance_id},
            )


def _publish_lags(told: Sequence[Told]) -> None:
    """Of databases that do not answer: they count nothing, and their logs wait."""
    lags = {each.instance_id: each.log_lag for each in told if each.log_lag is not None}
    if lags:
        measured = [Measured(replace(LOG_LAG_SECONDS, dimensions=((),)), list(lags.values()))]
        said = {"measured": measured, "instances": list(lags)}
        log.info("logs of %d guests", len(lags), extra=said)


def _measured(guests: Sequence[Told], dimensions: dict[str, str]) -> list[Measured]:
    found = []
    for metric, value_of in _VALUES.items():
        values = [value for each in guests if (value := value_of(each)) is not None]
        if values:
            found.append(Measured(metric, values, dimensions))
    return found


def _percent(part: float | None, whole: float | None) -> float | None:
    return None if part is None or not whole else round(min(100 * part / whole, 100.0), 1)


_VALUES: Final[dict[Metric, Callable[[Told], float | None]]] = {
    CONNECTIONS: lambda told: told.metrics.connections,
    CONNECTION_PERCENT: lambda told: _percent(
        told.metrics.connections, told.metrics.connection_limit
    ),
    GUEST_WORK: lambda told: told.metrics.per_second,
    CACHE_HIT_PERCENT: lambda told: _percent(told.metrics.cache_hits, 1),
    VOLUME_PERCENT: lambda told: _percent(told.volume_used, told.volume_total),
    LOG_LAG_SECONDS: lambda told: told.log_lag,
}
