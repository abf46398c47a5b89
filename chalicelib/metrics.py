"""The metrics, and how a log line carries them: CloudWatch's embedded metric format.

CloudWatch makes the metrics of the log lines by itself ("Specification: Embedded metric format"),
so that a measurement costs no call. A line has its metrics beside its fields: one line, not two.
Dimensions are bounded by the code (routes, flows, methods, reasons), never by what users make:
each combination of their values is a metric that is paid for.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

import msgspec

NAMESPACE: Final = "Coffer"
DEPLOYMENT: Final = "deployment"
"""The dimension of all: the prefix, since an account may have several deployments."""


class Metric(msgspec.Struct, frozen=True):
    """A metric: its unit as CloudWatch names it, and the sets of dimensions it is kept by."""

    name: str
    unit: str
    dimensions: tuple[tuple[str, ...], ...]
    said: str


REQUEST_MS: Final = Metric(
    "request_ms",
    "Milliseconds",
    (("route", "status_class"), ("status_class",)),
    "how long a request took; how many there were is its SampleCount",
)
OPERATION_MS: Final = Metric(
    "operation_ms",
    "Milliseconds",
    (("action", "outcome"), ("outcome",)),
    "from the moment an operation was accepted to its end; SampleCount is how many ended",
)
GUEST_CALL_MS: Final = Metric(
    "guest_call_ms",
    "Milliseconds",
    (("method", "outcome"), ("outcome",)),
    "from the moment a guest was asked to its answer, or to the end of the wait for it (`timeout`)",
)
HEARTBEATS: Final = Metric("heartbeats", "Count", ((),), "heartbeats that came")
HEARTBEATS_LATE: Final = Metric(
    "heartbeats_late",
    "Count",
    ((),),
    "those that came when the next one was due: the queue is behind, or the function",
)
HEARTBEATS_REFUSED: Final = Metric(
    "heartbeats_refused", "Count", ((),), "those that could not be trusted"
)
REFUSALS: Final = Metric(
    "refusals",
    "Count",
    (("reason",), ()),
    "messages of the bus that were refused: heartbeats, and what went to the dead letters",
)
BY_ENGINE: Final = (("engine",),)
CONNECTIONS: Final = Metric("connections", "Count", BY_ENGINE, "connections to a guest's database")
CONNECTION_PERCENT: Final = Metric(
    "connection_percent", "Percent", BY_ENGINE, "how many that is of those that it takes"
)
GUEST_WORK: Final = Metric(
    "work_per_second",
    "Count/Second",
    BY_ENGINE,
    "statements (MariaDB), transactions (PostgreSQL) or commands (Redis) since the last report",
)
CACHE_HIT_PERCENT: Final = Metric(
    "cache_hit_percent",
    "Percent",
    BY_ENGINE,
    "reads that memory answered since the last report; Redis: keys that were there",
)
VOLUME_PERCENT: Final = Metric(
    "volume_percent", "Percent", BY_ENGINE, "how full a guest's volume is"
)
LOG_LAG_SECONDS: Final = Metric(
    "log_lag_seconds",
    "Seconds",
    (("engine",), ()),
    "for how long what a database commits has not been archived, of those whose log is",
)
LOG_GAPS: Final = Metric(
    "log_gaps",
    "Count",
    ((),),
    "archives of logs that did not go on, and were followed by another one: what was committed "
    "between the two is of no moment that can be restored",
)

BACKUPS_UNSOUND: Final = Metric(
    "backups_unsound", "Count", ((),), "backups that were tried out and found damaged"
)

METRICS: Final = (
    *(REQUEST_MS, OPERATION_MS, GUEST_CALL_MS),
    *(HEARTBEATS, HEARTBEATS_LATE, HEARTBEATS_REFUSED, REFUSALS),
    BACKUPS_UNSOUND,
    *(CONNECTIONS, CONNECTION_PERCENT, GUEST_WORK, CACHE_HIT_PERCENT, VOLUME_PERCENT),
    *(LOG_LAG_SECONDS, LOG_GAPS),
)


class Measured(msgspec.Struct, frozen=True):
    """A value of a metric, or up to a hundred, and the value of each dimension that is no field of
    the line already.
    """

    metric: Metric
    value: float | Sequence[float]
    dimensions: Mapping[str, str] = {}


def embedded(measured: Iterable[Measured], deployment: str, at: float) -> dict[str, Any]:
    """What a line needs for CloudWatch to find the metrics in it; nothing for no metrics."""
    line: dict[str, Any] = {}
    directives: list[dict[str, Any]] = []
    for each in measured:
        metric = each.metric
        line[metric.name] = each.value
        line.update(each.dimensions)
        directives.append(
            {
                "Namespace": NAMESPACE,
                "Dimensions": [[DEPLOYMENT, *names] for names in metric.dimensions],
                "Metrics": [{"Name": metric.name, "Unit": metric.unit}],
            }
        )
    if directives:
        line[DEPLOYMENT] = deployment
        line["_aws"] = {"Timestamp": int(at * 1000), "CloudWatchMetrics": directives}
    return line
