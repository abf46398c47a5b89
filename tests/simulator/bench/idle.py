"""An idle guest's month with the shipped defaults: `python -m tests.simulator.bench.idle`."""

from __future__ import annotations

from contextlib import nullcontext
from unittest.mock import patch

import msgspec

from chalicelib.bus.contract.metrics import EngineMetrics
from chalicelib.settings import Settings
from simulator.fleet.manager import SimManager
from simulator.plan import load_scenario, with_options
from simulator.result import Cost
from simulator.run import Run
from tests.bench.tables import console, table

HOURS = 0.5
SERVICES = ("DynamoDB", "SQS", "Lambda", "API Gateway")


def price(guests: int, hours: float = HOURS, *, metrics: bool = True) -> Cost:
    """Dollars for a guest and month in a fleet of so many that only report.

    Without `metrics` its heartbeats tell nothing of an engine, as where none answers.
    """
    plan = msgspec.structs.replace(
        load_scenario("idle"),
        guests=guests,
        hours=hours,
        heartbeat_seconds=Settings().heartbeat_seconds,
    )
    silent = patch.object(SimManager, "metrics", lambda _: EngineMetrics())
    with nullcontext() if metrics else silent:
        return Run(with_options(plan)).execute().cost


def main(fleets: tuple[int, ...] = (10, 100, 1_000, 10_000)) -> None:
    """Print the table of the docs."""
    title = f"An idle guest's month, heartbeats every {Settings().heartbeat_seconds} s (dollars)"
    shown = table(title, "guests", *SERVICES, "in all", "without metrics")
    for guests in fleets:
        cost, silent = price(guests), price(guests, metrics=False)
        parts = (f"{cost.by_service[name]:.4f}" for name in SERVICES)
        in_all = (f"{each.per_guest_month:.4f}" for each in (cost, silent))
        shown.add_row(f"{guests:,}", *parts, *in_all)
    console.print(shown)


if __name__ == "__main__":
    main()
