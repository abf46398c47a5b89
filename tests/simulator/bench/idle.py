"""An idle guest's month with the shipped defaults: `python -m tests.simulator.bench.idle`."""

from __future__ import annotations

import msgspec

from chalicelib.settings import Settings
from simulator.plan import load_scenario, with_options
from simulator.result import Cost
from simulator.run import Run
from tests.bench.tables import console, table

HOURS = 0.5
SERVICES = ("DynamoDB", "SQS", "Lambda", "API Gateway")


def price(guests: int, hours: float = HOURS) -> Cost:
    """Dollars for a guest and month in a fleet of so many that only report."""
    plan = msgspec.structs.replace(
        load_scenario("idle"),
        guests=guests,
        hours=hours,
        heartbeat_seconds=Settings().heartbeat_seconds,
    )
    return Run(with_options(plan)).execute().cost


def main(fleets: tuple[int, ...] = (10, 100, 1_000, 10_000)) -> None:
    """Print the table of the docs."""
    title = f"An idle guest's month, heartbeats every {Settings().heartbeat_seconds} s (dollars)"
    shown = table(title, "guests", *SERVICES, "in all")
    for guests in fleets:
        cost = price(guests)
        parts = (f"{cost.by_service[name]:.4f}" for name in SERVICES)
        shown.add_row(f"{guests:,}", *parts, f"{cost.per_guest_month:.4f}")
    console.print(shown)


if __name__ == "__main__":
    main()
