"""A short swarm of its own tree: `python -m tests.mutation.swarm` ends with 1 when it notices."""

from __future__ import annotations

from collections.abc import Iterator

from simulator.plan import Plan, load_scenario, with_options
from simulator.swarm import run_seed
from tests.mutation.judges import FAIR_SEEDS, SEEDS


def plans() -> Iterator[Plan]:
    """First in fair weather, where what fails has no excuse, then under what each seed draws."""
    for seed in range(1, FAIR_SEEDS + 1):
        yield with_options(load_scenario("chaos"), seed=seed, faults="none")
    for seed in range(1, SEEDS - FAIR_SEEDS + 1):
        yield with_options(load_scenario("chaos"), seed=seed)


if __name__ == "__main__":
    raise SystemExit(int(any(run_seed(plan).failed for plan in plans())))
