"""The search for the shortest plan within a time: what it ends with, and how it is shown."""

from __future__ import annotations

import io

import pytest
from rich.console import Console

from infra.cli import shrinking
from simulator import shrink
from simulator.plan import Plan
from simulator.result import ViolationResult
from simulator.shrink import Fails, Failure

PLAN = Plan(guests=4, hours=1.0, faults={"F1": 0.1, "F5": 0.02})
FAILURE = Failure("I3", ViolationResult(90.0, None, "two live operations"))


def stand_in(monkeypatch: pytest.MonkeyPatch, fails: Fails) -> None:
    monkeypatch.setattr(shrink, "failing_like", lambda failure, out_of_time: fails)


def test_it_ends_with_a_plan_of_which_nothing_can_be_left_out(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    stand_in(monkeypatch, lambda plan: FAILURE if "F5" in plan.faults else None)
    text = io.StringIO()
    console = Console(file=text, width=200, force_terminal=True)
    found, interrupted = shrinking.shortest(PLAN, FAILURE, 60.0, console)
    assert found is not None
    assert (found.what, found.complete, interrupted) == ("I3", True, False)
    assert found.plan["faults"] == {"F5": 0.02}
    assert "looking for the shortest plan" in text.getvalue()


def test_a_search_that_the_user_ends_has_what_was_found_so_far(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def fails(plan: Plan) -> Failure | None:
        if plan.guests == 1:
            raise KeyboardInterrupt
        return FAILURE

    stand_in(monkeypatch, fails)
    found, interrupted = shrinking.shortest(PLAN, FAILURE, 60.0, Console(file=io.StringIO()))
    assert found is not None
    assert interrupted
    assert not found.complete
    assert found.plan["hours"] < PLAN.hours


def test_the_time_of_the_wall_clock_ends_it() -> None:
    plan = Plan(guests=40, hours=24.0)
    found, _ = shrinking.shortest(plan, FAILURE, 0.5, Console(file=io.StringIO()))
    assert found is not None
    assert not found.complete
    assert found.plan["guests"] == 40


def test_how_far_it_is_in_words() -> None:
    progress = shrink.Progress(PLAN, FAILURE, 1)
    assert shrinking.spoken(progress) == "1 run, 2 faults, 4 guests, 1 h"
