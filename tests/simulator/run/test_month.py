"""The scenario of a month, cut to some hours: retention at work, and each point that is left."""

from __future__ import annotations

import msgspec

from simulator.plan import load_scenario
from simulator.run import Run

SCHEDULE = {"interval_hours": 1, "full_every": 2, "keep_count": 2}


def test_what_is_left_of_some_hours_is_what_is_kept_and_all_of_it_restores() -> None:
    plan = load_scenario("month")
    workload = msgspec.structs.replace(plan.workload, schedule=SCHEDULE)
    plan = msgspec.structs.replace(plan, guests=2, hours=8.0, workload=workload, empty_at_end=False)
    result = Run(plan).execute()
    assert not result.errors
    broken = {name: each for name, each in result.invariants.items() if each.violations}
    assert not broken
    held = {name for name, each in result.invariants.items() if each.verdict == "holds"}
    assert {"I12", "I39", "L2", "L6"} <= held
    made, gone = (result.operations[name].succeeded for name in ("create_backup", "delete_backup"))
    assert made >= 12
    assert 4 <= gone < made
    assert result.cost.by_service["S3"] > 0
