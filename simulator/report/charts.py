"""Charts over virtual time as inline SVG: areas, lines, lanes; a script adds the read-outs.

Each chart is drawn in full here, so that it can be read where no script runs, and carries what a
pointer should say at each sample.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Final, NamedTuple

from simulator.report.html import Html, joined, tag
from simulator.report.html import data as json_data
from simulator.report.scale import (
    Box,
    Number,
    Scale,
    count_scale,
    time_scale,
    time_ticks,
    value_scale,
)
from simulator.report.words import NONE, compact, duration

MARGIN_LEFT: Final = 58.0
MARGIN_RIGHT: Final = 20.0
MARGIN_TOP: Final = 10.0
MARGIN_BOTTOM: Final = 24.0
LANE_HEIGHT: Final = 34.0
BAR_TOP: Final = 18.0
BAR_HEIGHT: Final = 12.0
LEAST_MARK: Final = 2.0
"""A shorter stretch would not be seen."""
LEAST_WORD: Final = 70.0
"""What is narrower has no room for words."""


class Line(NamedTuple):
    """One series: its name, the class that gives its colour, its numbers."""

    name: str
    colour: str
    values: Sequence[Number]


class Stretch(NamedTuple):
    """A part of virtual time in which something was on."""

    start: float
    end: float


class Lane(NamedTuple):
    """When one thing was on: what it is called on the axis and in full, more about it."""

    short: str
    name: str
    remark: str
    colour: str
    stretches: Sequence[Stretch]


class Frame(NamedTuple):
    """What the charts of a page share: the time of the run, what to mark on it, and their size."""

    seconds: float
    calm_from: float
    """When the faults ended; the run's end where they never did."""
    marks: Sequence[float]
    width: float
    height: float

    def box(self) -> Box:
        """Where the plot is."""
        return Box(MARGIN_LEFT, MARGIN_TOP, self.width - MARGIN_RIGHT, self.height - MARGIN_BOTTOM)


Words = Callable[[Number], str]


def areas(title: str, frame: Frame, times: Sequence[float], layers: Sequence[Line]) -> Html:
    """Series stacked on each other, the first at the bottom."""
    if not times or not layers:
        return empty()
    box = frame.box()
    tops = [[0.0] * len(times)]
    for layer in layers:
        values = (value or 0.0 for value in layer.values)
        tops.append([below + value for below, value in zip(tops[-1], values, strict=True)])
    across = time_scale(frame.seconds, box)
    up = count_scale(tops[-1], box)
    drawn = (
        tag("path", d=_band(across, up, times, low, high), class_=f"area {layer.colour}")
        for layer, (low, high) in zip(layers, pairwise(tops), strict=True)
    )
    body = joined(_axes(frame, up, compact_none), *drawn, _marks(frame))
    return _chart(title, frame, body, _readout(frame, times, list(reversed(layers)), compact_none))


def lines(
    title: str,
    frame: Frame,
    times: Sequence[float],
    series: Sequence[Line],
    words: Words,
    scale: Callable[[Sequence[float], Box], Scale] = value_scale,
) -> Html:
    """Series beside each other; a gap stays a gap, and a lonely sample is a dot."""
    found = [value for line in series for value in line.values if value is not None]
    if not times or not found:
        return empty()
    box = frame.box()
    across = time_scale(frame.seconds, box)
    up = scale(found, box)
    drawn = (_line(across, up, times, line) for line in series)
    body = joined(_axes(frame, up, words), *drawn, _marks(frame))
    return _chart(title, frame, body, _readout(frame, times, series, words))


def lanes(title: str, frame: Frame, rows: Sequence[Lane]) -> Html:
    """One lane for each row, with a bar wherever it was on."""
    if not rows:
        return tag("p", "No fault was on in this run.", class_="empty")
    height = MARGIN_TOP + LANE_HEIGHT * len(rows) + MARGIN_BOTTOM
    frame = frame._replace(height=height)
    box = frame.box()
    across = time_scale(frame.seconds, box)
    drawn = []
    for index, lane in enumerate(rows):
        top = box.top + index * LANE_HEIGHT
        middle = top + BAR_TOP + BAR_HEIGHT / 2
        drawn.append(tag("line", class_="grid", x1=box.left, x2=box.right, y1=middle, y2=middle))
        drawn.append(tag("text", lane.short, x=box.left - 8, y=middle + 4, class_="tick end"))
        label = joined(lane.name, tag("tspan", f"  {lane.remark}", class_="tick"))
        drawn.append(tag("text", label, x=box.left, y=top + BAR_TOP - 5, class_="lane"))
        drawn += [_bar(across, stretch, top + BAR_TOP, lane.colour) for stretch in lane.stretches]
    # A dotted line through a lane's words would make them hard to read.
    body = joined(_calm(frame), _time_axis(frame), _marks(frame), *drawn)
    return _chart(title, frame, body, _lane_readout(frame, rows))


def legend(series: Sequence[Line]) -> Html:
    """Which colour is which."""
    return tag(
        "ul",
        *(tag("li", tag("i", class_=f"swatch {line.colour}"), line.name) for line in series),
        class_="legend",
    )


def empty() -> Html:
    """What stands where a run has no samples."""
    return tag("p", "No samples in this run.", class_="empty")


def compact_none(number: Number) -> str:
    """A short number, or the dash."""
    return NONE if number is None else compact(number)


# ------------------------------------------------------------------------------------ shapes


def _band(
    across: Scale, up: Scale, times: Sequence[float], low: Sequence[float], high: Sequence[float]
) -> str:
    """The outline between two curves."""
    xs = [across.at(time) for time in times]
    if len(xs) == 1:
        # One sample has no width: it is drawn as a narrow column.
        xs, low, high = [xs[0] - 3, xs[0] + 3], [low[0]] * 2, [high[0]] * 2
    there = [f"{x:.1f} {up.at(value):.1f}" for x, value in zip(xs, high, strict=True)]
    back = [f"{x:.1f} {up.at(value):.1f}" for x, value in zip(xs, low, strict=True)]
    return f"M{'L'.join([*there, *reversed(back)])}Z"


def _line(across: Scale, up: Scale, times: Sequence[float], line: Line) -> Html:
    """Unbroken runs as paths, lonely samples as dots."""
    runs: list[list[tuple[float, float]]] = [[]]
    for time, value in zip(times, line.values, strict=True):
        if value is None:
            runs.append([])
        else:
            runs[-1].append((across.at(time), up.at(value)))
    drawn = []
    for run in filter(None, runs):
        if len(run) == 1:
            drawn.append(tag("circle", cx=run[0][0], cy=run[0][1], r=2.5))
        else:
            drawn.append(tag("path", d="M" + "L".join(f"{x:.1f} {y:.1f}" for x, y in run)))
    return tag("g", *drawn, class_=f"line {line.colour}")


def _bar(across: Scale, stretch: Stretch, top: float, colour: str) -> Html:
    start, end = across.at(stretch.start), across.at(stretch.end)
    return tag(
        "rect",
        x=min(start, across.end - LEAST_MARK),
        y=top,
        width=max(LEAST_MARK, end - start),
        height=BAR_HEIGHT,
        rx=3,
        class_=f"bar {colour}",
    )


def _axes(frame: Frame, up: Scale, words: Words) -> Html:
    box = frame.box()
    drawn = []
    for value in up.ticks:
        y = up.at(value)
        drawn.append(tag("line", class_="grid", x1=box.left, x2=box.right, y1=y, y2=y))
        drawn.append(tag("text", words(value), x=box.left - 8, y=y + 4, class_="tick end"))
    return joined(_calm(frame), *drawn, _time_axis(frame))


def _calm(frame: Frame) -> Html:
    """The ground behind the part of the run in which no fault was on any more."""
    box = frame.box()
    if not 0 < frame.calm_from < frame.seconds:
        return joined()
    x = time_scale(frame.seconds, box).at(frame.calm_from)
    width = box.right - x
    ground = tag("rect", class_="calm", x=x, y=box.top, width=width, height=box.height)
    word = tag("text", "faults off", x=x + 5, y=box.top + 13, class_="tick")
    return joined(ground, word if width > LEAST_WORD else None)


def _time_axis(frame: Frame) -> Html:
    box = frame.box()
    across = time_scale(frame.seconds, box)
    drawn = [tag("line", class_="axis", x1=box.left, x2=box.right, y1=box.bottom, y2=box.bottom)]
    for time in time_ticks(across.high, wanted=int(box.width / 75)):
        x = across.at(time)
        drawn.append(tag("line", class_="notch", x1=x, x2=x, y1=box.bottom, y2=box.bottom + 4))
        drawn.append(tag("text", duration(time), x=x, y=box.bottom + 17, class_="tick middle"))
    return joined(*drawn)


def _marks(frame: Frame) -> Html:
    """The moments at which something broke."""
    box = frame.box()
    across = time_scale(frame.seconds, box)
    places = (across.at(mark) for mark in frame.marks)
    return joined(
        *(tag("line", class_="mark", x1=x, x2=x, y1=box.top - 4, y2=box.bottom) for x in places)
    )


# --------------------------------------------------------------------------------- read-outs


def _readout(
    frame: Frame, times: Sequence[float], series: Sequence[Line], words: Words
) -> dict[str, object]:
    across = time_scale(frame.seconds, frame.box())
    return {
        "at": [round(across.at(time), 1) for time in times],
        "labels": [duration(time) for time in times],
        "series": [
            {"name": line.name, "colour": line.colour, "values": [words(v) for v in line.values]}
            for line in series
        ],
        "steps": False,
    }


def _lane_readout(frame: Frame, rows: Sequence[Lane]) -> dict[str, object]:
    """What is on from each moment at which something changes."""
    times = sorted({0.0} | {edge for row in rows for each in row.stretches for edge in each})
    across = time_scale(frame.seconds, frame.box())
    return {
        "at": [round(across.at(time), 1) for time in times],
        "labels": [duration(time) for time in times],
        "series": [
            {"name": f"{row.short} {row.name}", "colour": row.colour}
            | {"values": _on(row.stretches, times)}
            for row in rows
        ],
        "steps": True,
    }


def _on(stretches: Sequence[Stretch], times: Sequence[float]) -> list[str]:
    """ "on" at each time inside a stretch, else nothing: one walk over both, in their order."""
    words = []
    ordered = sorted(stretches)
    ends = 0.0
    index = 0
    for time in times:
        while index < len(ordered) and ordered[index].start <= time:
            ends = max(ends, ordered[index].end)
            index += 1
        words.append("on" if time < ends else "")
    return words


def _chart(title: str, frame: Frame, body: Html, readout: dict[str, object]) -> Html:
    box = frame.box()
    cross = tag("line", class_="cross", x1=0, x2=0, y1=box.top, y2=box.bottom, visibility="hidden")
    drawing = tag(
        "svg",
        body,
        cross,
        viewBox=f"0 0 {frame.width:.0f} {frame.height:.0f}",
        data_left=box.left,
        data_right=box.right,
        role="img",
        aria_label=title,
        tabindex=0,
    )
    return tag("div", drawing, json_data(readout), class_="chart")
