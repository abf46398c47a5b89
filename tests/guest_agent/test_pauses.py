"""Pauses between tries: doubling up to a bound, and each guest's own, so that a fleet spreads."""

from __future__ import annotations

from itertools import pairwise

import pytest

from chalicelib import aws
from guest_agent import enrolment, transport


@pytest.fixture(params=[0.0, 0.5, 1.0])
def drawn(monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> float:
    """What chance says to each of them."""
    monkeypatch.setattr(aws, "random", lambda: request.param)
    return float(request.param)


def share(drawn: float) -> float:
    """Of the longest pause: between half of it and the whole."""
    return 0.5 + drawn / 2


def test_the_first_try_of_a_call_is_made_at_once_and_others_later_and_later(drawn: float) -> None:
    pauses = [transport.pause_before(attempt) for attempt in range(transport.ATTEMPTS)]
    assert pauses[:2] == [0.0, transport.FIRST_PAUSE_SECONDS * share(drawn)]
    assert all(after == 2 * before for before, after in pairwise(pauses[1:]))


def test_enrolments_are_tried_later_and_later_up_to_a_bound(drawn: float) -> None:
    delays = [enrolment.delay_before(attempt) for attempt in range(2000)]
    most = enrolment.LONGEST_DELAY_SECONDS * share(drawn)
    assert delays[0] == enrolment.FIRST_DELAY_SECONDS * share(drawn)
    assert all(after == min(2 * before, most) for before, after in pairwise(delays))
