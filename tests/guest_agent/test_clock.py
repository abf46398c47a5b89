"""The offset is found from Date headers, within what a header without fractions can tell."""

from __future__ import annotations

from email.utils import formatdate

import pytest
from hypothesis import given
from hypothesis import strategies as st

from guest_agent.clock import ServiceClock
from tests.guest_agent.fakes import START


def header(service_time: float) -> str:
    return formatdate(int(service_time), usegmt=True)


@given(
    offset=st.floats(-1e7, 1e7),
    delays=st.lists(st.tuples(st.floats(0, 20), st.floats(0, 2)), min_size=1, max_size=20),
)
def test_the_error_is_bounded_by_the_header_and_the_way(
    offset: float, delays: list[tuple[float, float]]
) -> None:
    clock = ServiceClock()
    local = START
    for there, back in delays:
        stamped = local + there
        clock.observe(header(stamped + offset), local, stamped + back)
        assert abs(clock.offset - offset) <= 1.0 + there + back + 1e-3
        local = stamped + back


def test_a_right_clock_is_left_alone() -> None:
    clock = ServiceClock()
    for fraction in range(10):
        asked = START + fraction / 10
        clock.observe(header(asked + 0.01), asked, asked + 0.02)
        assert clock.offset == 0.0


def test_a_clock_that_was_set_is_followed() -> None:
    clock = ServiceClock()
    clock.observe(header(START), START, START + 0.1)
    clock.observe(header(START + 10), START + 7210, START + 7210.1)
    assert clock.offset == pytest.approx(-7200, abs=1.1)


@pytest.mark.parametrize(
    "date",
    [
        None,
        "",
        "yesterday",
        "Thu, 99 Nov 2026 00:00:00 GMT",
        "Thu, 01 Jan 99999999999999999999 00:00:00 GMT",
    ],
)
def test_what_is_no_date_is_ignored(date: str | None) -> None:
    clock = ServiceClock()
    clock.observe(date, START, START)
    assert clock.offset == 0.0
