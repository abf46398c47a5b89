"""Two looks at an engine's counters make its rates."""

from __future__ import annotations

from chalicelib.bus.contract.metrics import EngineMetrics
from guest_agent.datastores.gauges import Counters, Gauges


def test_a_rate_needs_two_looks_and_an_engine_that_was_not_started_between() -> None:
    made = Gauges("mariadb")
    assert made.read(Counters(1, 9, 1000, 50, 100), 100) == EngineMetrics("mariadb", 1, 9)
    assert made.read(Counters(2, 9, 1500, 125, 200, "0-1-7"), 110) == EngineMetrics(
        "mariadb", 2, 9, 50.0, 0.75, "0-1-7"
    )
    assert made.read(Counters(1, 9, 3, 0, 0), 120) == EngineMetrics("mariadb", 1, 9)
    assert made.read(Counters(1, 9, 13, 0, 0), 130) == EngineMetrics("mariadb", 1, 9, 1.0)


def test_one_that_told_nothing_begins_anew() -> None:
    made = Gauges("redis")
    made.read(Counters(1, 9, 10, 0, 0), 1)
    assert made.read(None, 2) == EngineMetrics()
    assert made.read(Counters(1, 9, 20, 0, 0), 3).per_second is None


def test_a_position_too_long_for_a_heartbeat_is_none() -> None:
    assert Gauges("mariadb").read(Counters(1, 9, 1, 1, 1, "1-1-1," * 20), 1).position is None
