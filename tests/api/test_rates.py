"""Rates: Trove's leaky bucket for each project and verb."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chalicelib import aws
from chalicelib.api import rates
from chalicelib.errors import OverLimit
from chalicelib.settings import settings
from tests.api.client import Api
from tests.support.bare import World as Clock
from tests.support.bare import fresh

MOST = settings().requests_per_minute


@pytest.fixture
def clock() -> Iterator[Clock]:
    with fresh() as made:
        yield made


def allowed(limits: rates.Rates, verb: str = "GET", project: str = "one") -> bool:
    try:
        limits.require(project, verb)
    except OverLimit:
        return False
    return True


def test_a_minute_takes_so_many_requests_of_a_verb(clock: Clock) -> None:
    limits = rates.Rates()
    assert [allowed(limits) for _ in range(MOST + 1)] == [True] * MOST + [False]
    assert allowed(limits, verb="POST")
    assert allowed(limits, project="two")


@given(st.lists(st.floats(0.0, 2.0), min_size=1, max_size=300))
def test_no_pattern_of_requests_gets_more_than_the_rate(pauses: list[float]) -> None:
    with fresh() as clock:
        check_rate(clock, pauses)


def check_rate(clock: Clock, pauses: list[float]) -> None:
    limits, passed, began = rates.Rates(), 0, clock.now
    for pause in pauses:
        clock.run(pause)
        for _ in range(20):
            passed += allowed(limits)
    assert passed <= MOST + (clock.now - began) * MOST / rates.SECONDS + 1e-5


def test_who_waits_as_long_as_it_was_told_is_let_in(clock: Clock) -> None:
    limits = rates.Rates()
    while allowed(limits):
        pass
    with pytest.raises(OverLimit) as refused:
        limits.require("one", "GET")
    assert refused.value.retry_after_seconds == 1
    clock.run(refused.value.retry_after_seconds)
    assert allowed(limits)


def test_what_is_remembered_is_bounded(clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rates, "MOST_BUCKETS", 10)
    limits = rates.Rates()
    for number in range(50):
        limits.require(f"project-{number}", "GET")
    assert len(limits._empty_at) == 10


def test_a_refusal_is_troves(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    # Else a bucket leaks meanwhile where the machine is slow.
    monkeypatch.setattr(aws, "monotonic", lambda: 1000.0)
    for _ in range(MOST):
        assert api.get("/flavors").status == 200
    got = api.get("/flavors")
    assert got.status == 413
    assert got.body == {
        "overLimit": {
            "code": 413,
            "message": "This request was rate-limited.",
            "details": f"Only {MOST} GET request(s) can be made to * every minute.",
            "retryAfter": "1",
        }
    }
    assert got.headers["Retry-After"] == "1"
    assert api.post("/instances", {}).status == 400
