"""The plan that a command line chooses: a scenario or a file, changed by options."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Final

from infra.errors import UnusableInputError

if TYPE_CHECKING:
    # The simulator brings all handlers with it: only a run pays for them, not the help.
    from simulator.plan import Plan

STDIN: Final = "-"
LISTED: Final = "coffer simulate --list shows the scenarios, and the faults with their ranges."
EXPLAINED: Final = (
    "docs/simulator/README.md explains scenario files; coffer simulate --list shows the faults "
    "with their ranges."
)


def plan(
    scenario: str | None,
    replay: Path | None = None,
    *,
    guests: int | None = None,
    hours: float | None = None,
    seed: int | None = None,
    faults: str | None = None,
) -> Plan:
    """The plan, its swarm not drawn yet; UnusableInputError, with where to look."""
    from simulator import plan as plans

    if scenario is not None and replay is not None:
        raise UnusableInputError("Give a scenario or --replay FILE, not both.", LISTED)
    try:
        if replay is not None:
            found = _read(replay)
        elif scenario is not None:
            found = plans.load_scenario(scenario)
        else:
            asked = "What should be simulated? Give a scenario, or --replay FILE."
            raise UnusableInputError(asked, LISTED)
        return plans.with_options(found, guests=guests, hours=hours, seed=seed, faults=faults)
    except plans.PlanError as error:
        raise UnusableInputError(str(error), _advice(scenario)) from error


def _read(replay: Path) -> Plan:
    from simulator import plan as plans

    if str(replay) == STDIN:
        return plans.parsed(sys.stdin.buffer.read(), "stdin")
    return plans.read(replay)


def _advice(scenario: str | None) -> str:
    if scenario is None:
        return "Give a file that --save-plan or --json wrote."
    if scenario.endswith(".toml") and _there(scenario):
        return EXPLAINED
    if _there(scenario) or _there(f"{scenario}.toml"):
        return "A path must name a file that ends in .toml."
    return LISTED


def _there(path: str) -> bool:
    try:
        return Path(path).exists()
    except (OSError, ValueError):  # too long, or no path at all
        return False
