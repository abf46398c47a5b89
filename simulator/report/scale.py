"""Where a number stands on a chart: axes with round ticks, and samples thinned to what fits."""

from __future__ import annotations

import math
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Sequence
from typing import Final, NamedTuple

MOST_SAMPLES: Final = 480
"""More points than that on a chart are pixels nobody sees."""

TIME_STEPS_SECONDS: Final = (
    *(1, 2, 5, 10, 15, 30),
    *(60, 120, 300, 600, 900, 1800),
    *(3600, 7200, 10800, 21600, 43200),
    *(86400, 172800, 432000, 864000, 2592000, 7776000, 31536000),
)

DURATIONS_SECONDS: Final = (
    *(0.001, 0.01, 0.1, 1.0, 10.0, 60.0, 600.0),
    *(3600.0, 36000.0, 360000.0, 3600000.0, 36000000.0),
)
"""The ticks of a logarithmic axis of durations."""

Number = float | None
Thinning = Callable[[Sequence[float]], float]


class Box(NamedTuple):
    """A plot inside its drawing, in the drawing's own units."""

    left: float
    top: float
    right: float
    bottom: float

    @property
    def width(self) -> float:
        """From edge to edge."""
        return self.right - self.left

    @property
    def height(self) -> float:
        """From edge to edge."""
        return self.bottom - self.top


class Scale(NamedTuple):
    """A map of values onto coordinates, linear or logarithmic, and the values to name on it."""

    low: float
    high: float
    start: float
    end: float
    ticks: Sequence[float] = ()
    logarithmic: bool = False

    def at(self, value: float) -> float:
        """The coordinate of a value; one outside stands at the edge."""
        inside = min(max(value, self.low), self.high)
        share = (inside - self.low) / (self.high - self.low)
        if self.logarithmic:
            share = math.log(inside / self.low) / math.log(self.high / self.low)
        return self.start + share * (self.end - self.start)


def time_scale(seconds: float, box: Box) -> Scale:
    """Virtual time from its begin, left to right."""
    return Scale(0.0, seconds if seconds > 0 else 1.0, box.left, box.right)


def value_scale(values: Sequence[float], box: Box) -> Scale:
    """Values from zero, upwards, with a round number on top."""
    ticks = value_ticks(max(values, default=0.0), wanted=4 if box.height > 120 else 3)
    return Scale(0.0, ticks[-1], box.bottom, box.top, ticks)


def count_scale(values: Sequence[float], box: Box) -> Scale:
    """The same for things that are counted: no tick between two whole numbers."""
    wanted = 4 if box.height > 120 else 3
    ticks = value_ticks(max(values, default=0.0), wanted, steps=(1, 2, 5, 10), least=1.0)
    return Scale(0.0, ticks[-1], box.bottom, box.top, ticks)


def duration_scale(values: Sequence[float], box: Box) -> Scale:
    """Seconds on a logarithmic axis: a run has operations of a second and of an hour."""
    known = [value for value in values if value > 0] or [1.0]
    first = bisect_right(DURATIONS_SECONDS, min(known)) - 1
    end = bisect_left(DURATIONS_SECONDS, max(known))
    first = max(0, min(first, len(DURATIONS_SECONDS) - 2))
    end = max(first + 1, min(end, len(DURATIONS_SECONDS) - 1))
    ticks = DURATIONS_SECONDS[first : end + 1]
    return Scale(ticks[0], ticks[-1], box.bottom, box.top, ticks, logarithmic=True)


def value_ticks(
    most: float, wanted: int = 4, steps: Sequence[float] = (1, 2, 2.5, 5, 10), least: float = 0.0
) -> list[float]:
    """Round numbers from zero to at least the most, about as many as wanted."""
    if most <= 0:
        return [0.0, 1.0]
    rough = most / wanted
    unit = 10.0 ** math.floor(math.log10(rough))
    step = max(least, next(unit * times for times in steps if unit * times >= rough * 0.999))
    return [step * index for index in range(math.ceil(most / step * 0.9999) + 1)]


def time_ticks(seconds: float, wanted: int) -> list[float]:
    """Round times from zero, at most as many as wanted."""
    step = next(
        (each for each in TIME_STEPS_SECONDS if seconds / each <= wanted),
        max(1.0, seconds / wanted),
    )
    return [float(step * index) for index in range(int(seconds / step) + 1)]


def buckets(length: int, most: int = MOST_SAMPLES) -> list[range]:
    """Stretches of a series that become one point each."""
    size = max(1, math.ceil(length / most))
    return [range(start, min(start + size, length)) for start in range(0, length, size)]


def thinned(
    values: Sequence[Number], length: int, by: Thinning, most: int = MOST_SAMPLES
) -> list[Number]:
    """One number for each bucket of `length` samples; None where a bucket has none."""
    numbers: list[Number] = []
    for bucket in buckets(length, most):
        found = [_get(values, index) for index in bucket]
        known = [value for value in found if value is not None]
        numbers.append(by(known) if known else None)
    return numbers


def last(values: Sequence[float]) -> float:
    """The newest of a bucket: for a state that was sampled."""
    return values[-1]


def _get(values: Sequence[Number], index: int) -> Number:
    return values[index] if index < len(values) else None
