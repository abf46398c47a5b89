"""The metrics, and how a log line carries them: CloudWatch's embedded metric format.

CloudWatch makes the metrics of the log lines by itself ("Specification: Embedded metric format"),
so that a measurement costs no call. A line has its metrics beside its fields: one line, not two.
Dimensions are bounded by the code (routes, flows, methods, reasons), never by what users make:
each combination of their values is a metric that is paid for.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
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

METRICS: Final = (
    *(REQUEST_MS, OPERATION_MS, GUEST_CALL_MS),
    *(HEARTBEATS, HEARTBEATS_LATE, HEARTBEATS_REFUSED, REFUSALS),
)


class Measured(msgspec.Struct, frozen=True):
    """A value of a metric, and of each dimension that is no field of the line already."""

    metric: Metric
    value: float
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
