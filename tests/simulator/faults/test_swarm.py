"""What the swarm switches on also strikes: its runs are short, and some classes are rare."""

from __future__ import annotations

import msgspec
import pytest

from simulator.faults import REGISTRY
from simulator.plan import Plan, load_scenario, strength
from simulator.run import Run

MOST_SEEDS = 5
"""The runs are short: a class that strikes once in an hour has nothing to strike in some."""
OFTEN = ("F1", "F2")
"""What strikes messages has enough of them in every run."""


def strikes(plan: Plan) -> int:
    """How often the class of a plan strikes in one run."""
    (name,) = plan.faults
    return Run(plan).execute().faults[name].injected


@pytest.mark.deep
@pytest.mark.parametrize("name", REGISTRY)
def test_a_class_in_the_middle_of_its_range_strikes_within_a_few_seeds(name: str) -> None:
    chaos = msgspec.structs.replace(
        load_scenario("chaos"),
        swarm=False,
        extremes=False,
        faults={name: strength(name, 0.5)},
        settle_seconds=0.0,
        empty_at_end=False,
    )
    seeds = range(1, 2 if name in OFTEN else MOST_SEEDS + 1)
    assert any(strikes(msgspec.structs.replace(chaos, seed=seed)) for seed in seeds)
