"""What an idle guest may cost, by the meters, with the shipped handlers and defaults."""

from __future__ import annotations

import pytest

from tests.simulator.bench.idle import price

MOST_DOLLARS = 0.10


@pytest.mark.deep
def test_an_idle_guest_of_a_thousand_costs_less_than_ten_cents_a_month() -> None:
    assert price(1_000, hours=0.25).per_guest_month < MOST_DOLLARS
