"""The dashboard: what the alarms look at, over time, on one page."""

import json
from typing import Final, NamedTuple

from chalicelib import metrics
from chalicelib.domain.flows import FLOWS, LOOK
from infra.package.alarm import (
    MINUTE,
    Document,
    Metric,
    of_coffer,
    of_flow,
    of_function,
    of_queue,
)
from infra.package.alarms import Names

WIDTH: Final = 12
HEIGHT: Final = 6
COLUMNS: Final = 2
QUEUES: Final = ("TaskManagerQueue", "ConductorQueue", "HeartbeatsQueue", "DeadLettersQueue")


class Graph(NamedTuple):
    """One graph: its title, the metrics on it, and how each is summed up."""

    title: str
    metrics: list[Metric]
    statistic: str = "Sum"


def graphs(functions: Names) -> list[Graph]:
    """In the order of a request: API, operations, bus, guests, and what they stand on."""
    logical_ids = [logical_id for logical_id, _ in functions]
    machines = ["".join(word.title() for word in flow.split("_")) for flow in (*FLOWS, LOOK)]
    api = {"ApiName": {"Ref": "Prefix"}, "Stage": "api"}
    counts = ("Count", "4XXError", "5XXError")
    return [
        Graph("Requests and refusals", [Metric("AWS/ApiGateway", each, api) for each in counts]),
        Graph("How long a request takes", [Metric("AWS/ApiGateway", "Latency", api)], "p99"),
        Graph("Operations begun", [of_flow(each, "ExecutionsStarted") for each in machines]),
        Graph("Operations failed", [of_flow(each, "ExecutionsFailed") for each in machines]),
        Graph(
            "How long operations take, by outcome",
            [
                of_coffer(metrics.OPERATION_MS, outcome=each)
                for each in ("succeeded", "failed", "cancelled")
            ],
            "p90",
        ),
        Graph(
            "Reports of guests, late and refused ones",
            [
                of_coffer(each)
                for each in (metrics.HEARTBEATS, metrics.HEARTBEATS_LATE, metrics.REFUSALS)
            ],
        ),
        Graph("How long logs are not archived", [of_coffer(metrics.LOG_LAG_SECONDS)], "Maximum"),
        Graph("Messages", [of_queue(each, "NumberOfMessagesReceived") for each in QUEUES]),
        Graph(
            "How long the oldest message waits",
            [of_queue(each, "ApproximateAgeOfOldestMessage") for each in QUEUES],
            "Maximum",
        ),
        Graph("Errors of functions", [of_function(each, "Errors") for each in logical_ids]),
        Graph(
            "Executions at once",
            [of_function(each, "ConcurrentExecutions") for each in logical_ids],
            "Maximum",
        ),
        Graph("How long functions take", [of_function(i, "Duration") for i in logical_ids], "p99"),
        Graph("Executions refused", [of_function(each, "Throttles") for each in logical_ids]),
    ]


def resources(functions: Names) -> Document:
    """The dashboard as a resource; its body names what the stack makes."""
    names: dict[str, Document] = {}
    widgets = [
        _widget(number, graph, names) for number, graph in enumerate(graphs(list(functions)))
    ]
    body = json.dumps({"widgets": widgets}, separators=(",", ":"))
    return {
        "Dashboard": {
            "Type": "AWS::CloudWatch::Dashboard",
            "Condition": "OnAws",
            "Properties": {
                "DashboardName": {"Fn::Sub": "${Prefix}"},
                "DashboardBody": {"Fn::Sub": [body, names]},
            },
        }
    }


def _widget(number: int, graph: Graph, names: dict[str, Document]) -> Document:
    row, column = divmod(number, COLUMNS)
    return {
        "type": "metric",
        "x": column * WIDTH,
        "y": row * HEIGHT,
        "width": WIDTH,
        "height": HEIGHT,
        "properties": {
            "title": graph.title,
            "region": "${AWS::Region}",
            "period": 5 * MINUTE,
            "stat": graph.statistic,
            "view": "timeSeries",
            "metrics": [_line(metric, names) for metric in graph.metrics],
        },
    }


def _line(metric: Metric, names: dict[str, Document]) -> list[str]:
    """Namespace, name, each dimension and its value; `names` learns what a value stands for."""
    parts = (part for pair in metric.dimensions.items() for part in pair)
    return [_text(part, names) for part in (metric.namespace, metric.name, *parts)]


def _text(value: str | Document, names: dict[str, Document]) -> str:
    """The text itself, or a placeholder for a reference: `${Sweeper}` for `{"Ref": "Sweeper"}`."""
    if isinstance(value, str):
        return value
    ((_, referred),) = value.items()
    name = str(referred if isinstance(referred, str) else referred[0])
    names[name] = value
    return f"${{{name}}}"
