"""Writes docs/simulator/saboteurs.md: `python -m tests.saboteurs.table`."""

from __future__ import annotations

import multiprocessing
import os
from collections.abc import Mapping
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Final

from simulator.invariants import REGISTRY
from tests.saboteurs.hunt import Catch, hunt
from tests.saboteurs.plans import PLANS
from tests.saboteurs.saboteurs import SABOTEURS

PAGE: Final = Path(__file__).resolve().parents[2] / "docs" / "simulator" / "saboteurs.md"
HEAD: Final = """# Saboteurs

Deliberate bugs, each a small patch of shipped code that a test applies (`tests/saboteurs`), and who
noticed them. *Seed* is the first one of the plan, counted from 1, whose run broke an invariant; the
test's bound on them is in brackets. Without a saboteur the same plans break nothing. This page is
written by `python -m tests.saboteurs.table`. Strengths may lie above a swarm's ranges, so that a
small run meets what a fleet meets. F19 in the place of an invariant: no promise of the contract is
about what another release has stored, so the fault looks after it and ends the run itself.

| bug | what it does | plan | noticed by | seed |
|---|---|---|---|---|
"""
COVERAGE: Final = """
## What breaks each invariant

The bugs of the table by the invariant that they broke: *alone*, or together with others. Each is
broken once more, directly, in `tests/simulator/invariants`. L9 has no bug here: two
processes run the same plan (`coffer simulate --verify`), and its test gives it two traces.

| invariant | alone | with others |
|---|---|---|
"""
HARMLESS: Final = """
## Bugs that are none

Tried and dropped: they do no harm, or nothing here can meet them. The first six ran 8 seeds each of
plans that would show them, and broke nothing.

| bug | why it stays without a trace |
|---|---|
"""
REASONS: Final = {
    "a transaction tries again under another client token": "each has a clause that its own first "
    "write makes false: the second is refused, and the caller looks at what is there",
    "the sweeper stops a late create that goes back already": "a removal takes its lease anew "
    "every 10 s at most, and each puts the sweeper's look off by 55 s",
    "the sweeper never stops a create": "the simulated Step Functions ends a task whose function "
    "died, as AWS does; an emulator that does not is met in `tests/taskmanager/test_sweeper.py`",
    "a delete after a reset, while one waits, changes nothing": "the one that waits takes the "
    "instance to SHUTDOWN when its turn comes; until then the status says ERROR",
    "poison is sent back, as often as what is healthy": "three times, then it is recorded",
    "a key is used in the moment in which it is added (5 seeds of rotations)": "whoever meets it "
    "looks it up, or the message comes again; to distribute first saves those waits",
    "a lease is given back by a worker that overran it": "a step's function is killed after 20 s, "
    "its lease lasts 25 s",
    "guests of two generations taken for one (enrolment, batch, journal)": "there is only one "
    "generation in this release",
    "the cache of tokens answers with another caller": "the simulated API asks its own Keystone; "
    "the project in the path is compared with the token's besides (`tests/auth`)",
}
"""Bugs that were tried and dropped."""


def main() -> None:
    """Hunt all of them, in as many processes as there are cores, and write the page."""
    spawned = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(os.cpu_count(), mp_context=spawned) as processes:
        catches = processes.map(_hunt, range(len(SABOTEURS)))
        write({each.name: catch for each, catch in zip(SABOTEURS, catches, strict=True)})


def _hunt(number: int) -> Catch | None:
    """By its place in the list, as a bug itself does not go to another process."""
    return hunt(SABOTEURS[number])


def write(found: Mapping[str, Catch | None]) -> None:
    """Write the page: who noticed each of them, by its name."""
    lines, catches = [], dict[str, Catch]()
    for each in SABOTEURS:
        catch = found[each.name]
        by = ", ".join(catch.invariants) if catch else "**nobody**"
        seed = f"{catch.seed} ({each.seeds})" if catch else f"- ({each.seeds})"
        lines.append(f"| {each.name} | {each.sentence} | {each.plan} | {by} | {seed} |")
        if catch:
            catches[each.name] = catch
    harmless = [f"| {bug} | {why} |" for bug, why in REASONS.items()]
    parts = (HEAD, _rows(lines), COVERAGE, _rows(_coverage(catches)), HARMLESS, _rows(harmless))
    PAGE.parent.mkdir(parents=True, exist_ok=True)
    PAGE.write_text("".join(parts) + _plans())


def _rows(lines: list[str]) -> str:
    return "\n".join(lines) + "\n"


def _coverage(catches: dict[str, Catch]) -> list[str]:
    """A row for each invariant that can be reached and is not about two runs."""
    lines = []
    for name, kind in REGISTRY.items():
        if kind.unreachable or name == "L9":
            continue
        alone = [bug for bug, catch in catches.items() if catch.invariants == (name,)]
        found = [bug for bug, catch in catches.items() if name in catch.invariants]
        others = [bug for bug in found if bug not in alone]
        lines.append(f"| {name} | {', '.join(alone) or '-'} | {', '.join(others) or '-'} |")
    return lines


def _plans() -> str:
    lines = []
    for name, plan in PLANS.items():
        rate = plan.workload.operations_per_guest_hour
        faults = [f"{id_}={strength:g}" for id_, strength in plan.faults.items()]
        faults += [f"{each.service} gone for {each.minutes:g} min" for each in plan.outages]
        size = f"{plan.guests} guests, {plan.hours} h, {rate:g} requests per guest-hour"
        lines.append(f"| {name} | {size} | {', '.join(faults) or 'none'} |")
    return "\n## Plans\n\n| plan | size | faults |\n|---|---|---|\n" + _rows(lines)


if __name__ == "__main__":
    main()
