"""A short swarm of its own tree: `python -m tests.mutation.swarm 1 2 3` ends with 1 if it notices.

Each plan runs in a process of its own, forked when all is imported: none sees what another left
in a cache, so a plan that does not run a mutant's line does what it does without the mutant.
"""

from __future__ import annotations

import os
import resource
import sys
import time
from typing import Final

from simulator.plan import Plan, load_scenario, with_options
from simulator.swarm import run_seed
from tests.mutation.judges import FAIR_SEEDS, SEEDS
from tests.mutation.lines import NOTES_MODULE

CPU_SECONDS: Final = 20
"""For one plan, which takes three on a busy machine: a loop without an end has been noticed."""


def plan(number: int) -> Plan:
    """From 1: first in fair weather, where what fails has no excuse, then as each seed draws."""
    if number <= FAIR_SEEDS:
        return with_options(load_scenario("chaos"), seed=number, faults="none")
    return with_options(load_scenario("chaos"), seed=number - FAIR_SEEDS)


def notices(number: int) -> bool:
    """Whether a plan breaks a promise, raises an error, or does not end."""
    child = os.fork()
    if not child:
        _run(number)
    _, status = os.waitpid(child, 0)
    return status != 0


def _run(number: int) -> None:
    code = 2
    try:
        resource.setrlimit(resource.RLIMIT_CPU, (CPU_SECONDS, CPU_SECONDS))
        outcome = run_seed(plan(number))
        if NOTES_MODULE in sys.modules:
            sys.modules[NOTES_MODULE].close(str(number), time.process_time())
        if outcome.failed:
            broken = {each.invariant for each in outcome.broken} or {outcome.error_kind}
            sys.stdout.write(f"NOTICED {number} {' '.join(sorted(broken))}\n")
            sys.stdout.flush()
        code = int(outcome.failed)
    finally:
        os._exit(code)


if __name__ == "__main__":
    asked = [int(each) for each in sys.argv[1:]] or range(1, SEEDS + 1)
    raise SystemExit(int(any(notices(number) for number in asked)))
