"""Writes docs/simulator/saboteurs.md: `python -m tests.saboteurs.table`."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from tests.saboteurs.hunt import hunt
from tests.saboteurs.plans import PLANS
from tests.saboteurs.saboteurs import SABOTEURS

PAGE: Final = Path(__file__).resolve().parents[2] / "docs" / "simulator" / "saboteurs.md"
HEAD: Final = """# Saboteurs

Deliberate bugs, each a small patch of shipped code that a test applies (`tests/saboteurs`), and who
noticed them. *Seed* is the first one of the plan, counted from 1, whose run broke an invariant; the
test's bound on them is in brackets. Without a saboteur the same plans break nothing. This page is
written by `python -m tests.saboteurs.table`. Strengths may lie above a swarm's ranges, so that a
small run meets what a fleet meets. Fencing by generation has no saboteur yet: there is only one.

| bug | what it does | plan | noticed by | seed |
|---|---|---|---|---|
"""


def main() -> None:
    """Hunt all of them and write the page."""
    lines = []
    for each in SABOTEURS:
        catch = hunt(each)
        by = ", ".join(catch.invariants) if catch else "**nobody**"
        seed = f"{catch.seed} ({each.seeds})" if catch else f"- ({each.seeds})"
        lines.append(f"| {each.name} | {each.sentence} | {each.plan} | {by} | {seed} |")
    plans = [
        f"| {name} | {plan.guests} guests, {plan.hours} h, "
        f"{plan.workload.operations_per_guest_hour:g} requests per guest-hour | "
        f"{', '.join(f'{id_}={s:g}' for id_, s in plan.faults.items()) or 'none'} |"
        for name, plan in PLANS.items()
    ]
    plans_head = "\n## Plans\n\n| plan | size | faults |\n|---|---|---|\n"
    PAGE.parent.mkdir(parents=True, exist_ok=True)
    PAGE.write_text(HEAD + "\n".join(lines) + "\n" + plans_head + "\n".join(plans) + "\n")


if __name__ == "__main__":
    main()
