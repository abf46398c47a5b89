"""Rules on a schedule."""

from __future__ import annotations

from typing import Any

import pytest

from simulator.aws.lambda_ import Fate, Function, Lambda
from simulator.aws.schedules import Schedule, rate_seconds
from simulator.kernel import START, Kernel


@pytest.fixture
def kernel() -> Kernel:
    return Kernel(1)


@pytest.fixture
def seen() -> list[Any]:
    return []


@pytest.fixture
def lambda_(kernel: Kernel, seen: list[Any]) -> Lambda:
    made = Lambda(kernel)
    made.add(Function("f", lambda: lambda event, _: seen.append((kernel.now - START, event))))
    return made


@pytest.mark.parametrize(
    ("expression", "seconds"),
    [
        ("rate(1 minute)", 60),
        ("rate(10 minutes)", 600),
        ("rate(1 hour)", 3600),
        ("rate(2 days)", 172800),
    ],
)
def test_rates(expression: str, seconds: float) -> None:
    assert rate_seconds(expression) == seconds


@pytest.mark.parametrize(
    "expression",
    ["rate(0 minutes)", "rate(1 minutes)", "rate(5 minute)", "rate(1 second)", "cron(0 * * * ? *)"],
)
def test_what_is_no_rate(expression: str) -> None:
    with pytest.raises(ValueError, match=r"rate|unit"):
        rate_seconds(expression)


def test_an_event_comes_each_period(kernel: Kernel, lambda_: Lambda, seen: list[Any]) -> None:
    schedule = Schedule(kernel, lambda_, "sweeper", "rate(1 minute)", "f")
    kernel.run(START + 185)
    assert [round(when) for when, _ in seen] == [60, 120, 180]
    event = seen[0][1]
    assert (event["source"], event["detail-type"]) == ("aws.events", "Scheduled Event")
    assert event["time"] == "2027-01-15T08:01:00Z"
    assert len({event["id"] for _, event in seen}) == schedule.fired == 3


def test_an_input_takes_the_place_of_the_event(
    kernel: Kernel, lambda_: Lambda, seen: list[Any]
) -> None:
    Schedule(kernel, lambda_, "m", "rate(10 minutes)", "f", {"step": "maintenance"})
    kernel.run(START + 601)
    assert [event for _, event in seen] == [{"step": "maintenance"}]


def test_a_rule_can_be_switched_off_and_on(
    kernel: Kernel, lambda_: Lambda, seen: list[Any]
) -> None:
    schedule = Schedule(kernel, lambda_, "s", "rate(1 minute)", "f")
    kernel.run(START + 90)
    schedule.disable()
    kernel.run(START + 500)
    assert len(seen) == 1
    assert kernel.pending() == 0
    schedule.enable()
    kernel.run(START + 561)
    assert len(seen) == 2
    schedule.fire()
    kernel.run(START + 562)
    assert len(seen) == 3


def test_a_throttled_event_is_not_lost(kernel: Kernel, lambda_: Lambda, seen: list[Any]) -> None:
    Schedule(kernel, lambda_, "s", "rate(1 hour)", "f")
    fates = [Fate.THROTTLE, Fate.THROTTLE, Fate.RUN]
    lambda_.decide = lambda *_: fates.pop(0)
    kernel.run(START + 3610)
    assert [round(when) for when, _ in seen] == [3603]
