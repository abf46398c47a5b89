"""The command that gives a run again: options where they say it all, else the plan itself."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    # The simulator brings all handlers with it: only a run pays for them, not the help.
    from simulator.plan import Plan


def command(plan: Plan, source: Sequence[str], *more: str) -> str:
    """A command line that makes the same drawn plan, for a shell.

    `source` is where the plan comes from: a scenario, or `--replay` and a file. `more` are options
    that are no part of a plan.
    """
    for faults in (None, "swarm", _listed(plan)):
        options = ["--guests", str(plan.guests), "--hours", f"{plan.hours!r}"]
        options += ["--seed", str(plan.seed)]
        if faults is not None:
            options += ["--faults", faults]
        if _made(plan, source, faults) == plan:
            return shlex.join(["coffer", "simulate", *source, *options, *more])
    from simulator import plan as plans

    replay = shlex.join(["coffer", "simulate", "--replay", "-", *more])
    return f"echo {shlex.quote(plans.compact(plan))} | {replay}"


def _listed(plan: Plan) -> str:
    return ",".join(f"{name}={strength!r}" for name, strength in plan.faults.items()) or "none"


def _made(plan: Plan, source: Sequence[str], faults: str | None) -> Plan | None:
    """The plan that such a command makes; None when it makes none, or cannot be given twice."""
    from simulator import plan as plans

    try:
        match list(source):
            case ["--replay", "-"]:
                return None
            case ["--replay", path]:
                found = plans.read(path)
            case [scenario]:
                found = plans.load_scenario(scenario)
            case _:
                return None
        found = plans.with_options(
            found, guests=plan.guests, hours=plan.hours, seed=plan.seed, faults=faults
        )
        return plans.drawn(found)
    except plans.PlanError:
        return None
