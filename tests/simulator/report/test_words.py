"""Numbers in words, and where they stand on a chart."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from simulator.report.scale import (
    MOST_SAMPLES,
    Box,
    buckets,
    duration_scale,
    thinned,
    time_ticks,
    value_ticks,
)
from simulator.report.words import (
    aws_calls,
    compact,
    count,
    duration,
    money,
    ordered,
    share,
)

BOX = Box(0.0, 0.0, 100.0, 100.0)


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (None, "–"),  # noqa: RUF001
        (0, "0"),
        (0.0041, "4.1 ms"),
        (0.35, "350 ms"),
        (0.9999, "1 s"),
        (4.25, "4.25 s"),
        (59.99, "1 min"),
        (119.9, "2 min"),
        (750, "12 min 30 s"),
        (3599.9, "1 h"),
        (12_000, "3 h 20 min"),
        (86_399, "1 d"),
        (187_200, "2 d 4 h"),
        (-5, "-5 s"),
    ],
)
def test_durations(seconds: float | None, words: str) -> None:
    assert duration(seconds) == words


@pytest.mark.parametrize(
    ("dollars", "words"),
    [
        (None, "–"),  # noqa: RUF001
        (0, "$0"),
        (1234.5, "$1,234.50"),
        (0.999, "$1.00"),
        (0.5, "$0.50"),
        (0.09731, "$0.0973"),
        (0.00000124, "$0.00000124"),
        (1e-12, "under $0.000000001"),
        (-0.5, "-$0.50"),
    ],
)
def test_money(dollars: float | None, words: str) -> None:
    assert money(dollars) == words


def test_counts_and_shares() -> None:
    assert [count(None), count(12345), count(1.234)] == ["–", "12,345", "1.23"]  # noqa: RUF001
    assert [compact(950), compact(12_345), compact(4_560_000)] == ["950", "12.3 k", "4.56 M"]
    assert [share(1, 3), share(1, 0)] == ["33.3 %", "–"]  # noqa: RUF001
    assert aws_calls({"sqs": {"SendMessage": 2}, "openstack": {"servers": 9}}) == 2


def test_ids_are_ordered_by_their_numbers() -> None:
    assert ordered(["L1", "F10", "I2", "F2", "odd"]) == ["F2", "F10", "I2", "L1", "odd"]


@given(st.floats(min_value=1e-9, max_value=1e12))
def test_an_axis_holds_its_highest_value_and_few_ticks(most: float) -> None:
    ticks = value_ticks(most)
    assert ticks[0] == 0
    assert ticks[-1] >= most * 0.999
    assert 2 <= len(ticks) <= 7


@given(st.floats(min_value=0.0, max_value=1e9), st.integers(min_value=2, max_value=20))
def test_time_has_round_ticks_within_the_run(seconds: float, wanted: int) -> None:
    ticks = time_ticks(seconds, wanted)
    assert len(ticks) <= wanted + 1
    assert ticks[-1] <= seconds * 1.000001


@given(st.lists(st.floats(min_value=0.0, max_value=1e8), min_size=1))
def test_every_duration_has_its_place_on_the_axis(values: list[float]) -> None:
    scale = duration_scale(values, BOX)
    assert len(scale.ticks) >= 2
    assert all(0.0 <= scale.at(value) <= 100.0 for value in values)


@given(st.lists(st.none() | st.integers(min_value=0, max_value=9), max_size=3000))
def test_thinning_keeps_the_highest_sample(values: list[int | None]) -> None:
    kept = thinned(values, len(values), max)
    assert len(kept) == len(buckets(len(values))) <= MOST_SAMPLES
    assert max(filter(None, kept), default=0) == max(filter(None, values), default=0)
