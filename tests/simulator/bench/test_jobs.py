"""What the jobs over a whole fleet cost: calls by service, and time for each run."""

from __future__ import annotations

from collections import Counter
from typing import Final

import pytest

from simulator.plan import Plan, Workload
from simulator.run import Run
from tests.bench.tables import console, table

pytestmark = [pytest.mark.bench, pytest.mark.filterwarnings("default")]

IDLE: Final = Plan(
    scenario="jobs",
    guests=10_000,
    hours=0.2,  # a run of what runs every ten minutes
    workload=Workload(operations_per_guest_hour=0.0),
)
MOST_SHARE: Final = 0.5
"""Of its function's time that an average run may take."""
SERVICES: Final = ("dynamodb", "openstack", "sqs", "stepfunctions")

Calls = Counter[tuple[str, str, str]]


@pytest.mark.timeout(900)
def test_jobs_of_a_large_fleet() -> None:
    run = Run(IDLE)
    try:
        run._set_up()
        before = Counter(run.world.region.effects.calls)
        run._chaos()
        assert run.invariants is not None
        run.invariants.check_healed()
        assert not run.invariants.violations
        _show_calls(run.world.region.effects.calls - before)
        _show_times(run)
    finally:
        run.close()


def _show_calls(calls: Calls) -> None:
    title = f"Calls in {60 * IDLE.hours:.0f} minutes of {IDLE.guests:,} guests, by who made them"
    shown = table(title, "who", *SERVICES)
    for scope in sorted({scope for scope, _, _ in calls}):
        by_service: Counter[str] = Counter()
        for (who, service, _), count in calls.items():
            by_service[service] += count if who == scope else 0
        shown.add_row(scope, *(f"{by_service[service]:,}" for service in SERVICES))
    console.print(shown)


def _show_times(run: Run) -> None:
    shown = table("Time of a run", "function", "runs", "virtual s a run", "bound, s")
    for name, function in sorted(run.world.region.lambda_.functions.items()):
        if not function.invocations:
            continue
        seconds = function.seconds / function.invocations
        assert not function.errors, (name, function.errors)
        assert seconds < MOST_SHARE * function.timeout_seconds, name
        bound = f"{function.timeout_seconds:g}"
        shown.add_row(name, f"{function.invocations:,}", f"{seconds:.3f}", bound)
    console.print(shown)
