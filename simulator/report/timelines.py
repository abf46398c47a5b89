"""The series of a run as charts: which numbers, in which order and colour, thinned to what fits."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise
from statistics import median
from typing import Final

from simulator.report import charts
from simulator.report.charts import Frame, Lane, Line, Stretch
from simulator.report.html import Html, joined, tag
from simulator.report.scale import (
    Box,
    Number,
    Scale,
    buckets,
    count_scale,
    duration_scale,
    last,
    thinned,
    value_scale,
)
from simulator.report.words import HOUR, NONE, compact, count, duration, money, ordered
from simulator.result import Result, Series

WIDE: Final = 1120.0
HALF: Final = 540.0
MOST_LATENCIES: Final = 60
MOST_QUEUES: Final = 12
MOST_MARKS: Final = 50
COLOURS: Final = 8

# From the ground up: what is well stands at the bottom.
STATUS_COLOURS: Final = {"ACTIVE": "green", "BUILD": "blue", "SHUTDOWN": "yellow", "ERROR": "red"}
ON_TOP: Final = "ERROR"
GONE: Final = "DELETED"
"""Rows kept as history: no part of the fleet, and in the end more than all others."""
Scaling = Callable[[Sequence[float], Box], Scale]
Drawn = tuple[str, str, Html]
"""A title, a remark, a drawing."""


def fleet(result: Result) -> Drawn:
    """Instances by status, stacked."""
    series = result.series
    known = [name for name in STATUS_COLOURS if name in series.status]
    others = sorted(name for name in series.status if name not in STATUS_COLOURS and name != GONE)
    names = sorted([*known, *others], key=lambda name: name == ON_TOP)
    free = (f"c{index % COLOURS + 1}" for index in range(4, 4 + len(names)))
    layers = [
        Line(name, STATUS_COLOURS.get(name) or next(free), _states(series, series.status[name]))
        for name in names
    ]
    drawing = charts.areas("Instances by status", _frame(result, WIDE, 260), _times(series), layers)
    if series.time:
        drawing = joined(charts.legend(layers), drawing)
    return "Fleet", "instances by status, without deleted ones", drawing


def faults(result: Result) -> Drawn:
    """When each fault class was on."""
    found: dict[str, list[Stretch]] = {}
    for lane in result.series.faults:
        found.setdefault(lane.fault, []).append(Stretch(lane.start, lane.end))
    rows = [_lane(result, index, id_, found[id_]) for index, id_ in enumerate(ordered(list(found)))]
    drawing = charts.lanes("Fault lanes", _frame(result, WIDE, 0), rows)
    return "Faults", "when each class was on; injected counts are below", drawing


def latency(result: Result) -> Drawn:
    """How long operations took; in longer stretches than a sample, since many end none."""
    title, series, length = "Operation latency", result.series, len(result.series.time)
    most = MOST_LATENCIES
    lines = [
        Line("p50", "c1", thinned(series.latency_p50, length, median, most)),
        Line("p95", "c8", thinned(series.latency_p95, length, max, most)),
    ]
    times = [series.time[bucket[-1]] for bucket in buckets(length, most)]
    frame = _frame(result, HALF, 200)
    drawing = charts.lines(title, frame, times, lines, duration, duration_scale)
    remark = "of the operations that ended in each stretch, log scale"
    return title, remark, joined(charts.legend(lines) if times else None, drawing)


def live_operations(result: Result) -> Drawn:
    """Operations that are under way."""
    line = Line("live operations", "c3", _peaks(result.series, result.series.live_operations))
    drawing = _half(result, line, charts.compact_none, count_scale)
    return "Live operations", "accepted and not over", drawing


def cost(result: Result) -> Drawn:
    """Dollars since the begin."""
    line = Line("cost", "c2", _states(result.series, result.series.cost))
    drawing = _half(result, line, money, value_scale)
    return "Cost", "dollars at list prices since the begin", drawing


def calls(result: Result) -> Drawn:
    """AWS calls in the time from point to point."""
    series = result.series
    line = Line("AWS calls", "c5", thinned(series.calls, len(series.time), sum))
    drawing = _half(result, line, charts.compact_none, count_scale)
    return "AWS calls", f"in each {duration(_point_seconds(series))}", drawing


def queues(result: Result) -> Drawn:
    """A small chart for each queue, each with its own scale: one storm hides all else otherwise."""
    series = result.series
    busiest = sorted(series.queues, key=lambda name: (-max(series.queues[name], default=0), name))
    shown = [name for name in busiest if any(series.queues[name])][:MOST_QUEUES]
    if not series.time or not shown:
        nothing = tag("p", "All queues were empty at every sample.", class_="empty")
        return "Queue depths", "", nothing if series.time and busiest else charts.empty()
    frame = _frame(result, WIDE / 3, 120)
    drawn = []
    for index, name in enumerate(shown):
        line = Line(name, f"c{index % COLOURS + 1}", _peaks(series, series.queues[name]))
        title, words = f"Depth of {name}", charts.compact_none
        drawing = charts.lines(title, frame, _times(series), [line], words, count_scale)
        most = f"at most {compact(max(series.queues[name]))}"
        drawn.append(tag("div", tag("h4", name, tag("span", most)), drawing))
    remark = _queues_remark(busiest, shown, series)
    return "Queue depths", remark, tag("div", *drawn, class_="third")


def _queues_remark(names: list[str], shown: list[str], series: Series) -> str:
    """The unit, and what has become of the queues that are not drawn."""
    remark = "messages, the busiest first, each on its own scale"
    empty = [name for name in names if not any(series.queues[name])]
    if less := len(names) - len(shown) - len(empty):
        remark += f"; {count(less)} less busy not shown"
    return f"{remark}; always empty: {', '.join(empty)}" if empty else remark


def _half(result: Result, line: Line, words: charts.Words, scale: Scaling) -> Html:
    frame = _frame(result, HALF, 200)
    return charts.lines(line.name, frame, _times(result.series), [line], words, scale)


def _frame(result: Result, width: float, height: float) -> Frame:
    """All charts end where the last thing on any of them does."""
    series = result.series
    ends = [result.virtual_seconds, *series.time[-1:], *(lane.end for lane in series.faults)]
    found = sorted(
        violation.time for each in result.invariants.values() for violation in each.violations
    )
    return Frame(max(ends), _chaos_seconds(result), found[:MOST_MARKS], width, height)


def _chaos_seconds(result: Result) -> float:
    """How long faults could happen: the plan's hours, where it says them."""
    hours = result.plan.get("hours")
    return hours * HOUR if isinstance(hours, int | float) else 0.0


def _times(series: Series) -> list[float]:
    return [series.time[bucket[-1]] for bucket in buckets(len(series.time))]


def _point_seconds(series: Series) -> float:
    """From point to point of a thinned series; nearly all samples are at even distances."""
    between = [after - before for before, after in pairwise(series.time)]
    return median(between) * len(buckets(len(series.time))[0]) if between else 0.0


def _states(series: Series, values: list[int] | list[float]) -> list[Number]:
    return thinned(values, len(series.time), last)


def _peaks(series: Series, values: list[int] | list[float | None]) -> list[Number]:
    """Of several samples in one point the highest, so that a short peak is seen."""
    return thinned(values, len(series.time), max)


def _lane(result: Result, index: int, id_: str, stretches: list[Stretch]) -> Lane:
    fault = result.faults.get(id_)
    colour = f"c{index % COLOURS + 1}"
    if fault is None:
        return Lane(id_, id_, "", colour, stretches)
    strength = NONE if fault.strength is None else f"{fault.strength:.3g}"
    remark = f"strength {strength}, {count(fault.injected)} injected"
    return Lane(id_, fault.title, remark, colour, stretches)
