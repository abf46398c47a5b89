"""Runs a plan with a saboteur at work, seed by seed, until an invariant notices."""

from __future__ import annotations

from typing import NamedTuple

import msgspec
import pytest

from simulator.run import Run
from tests.saboteurs.plans import PLANS
from tests.saboteurs.saboteurs import Saboteur


class Catch(NamedTuple):
    """Who noticed a saboteur, at which seed (from 1), and what was said."""

    seed: int
    invariants: tuple[str, ...]
    text: str


def hunt(saboteur: Saboteur) -> Catch | None:
    """The first catch within the saboteur's bound, or None: it has survived."""
    for seed in range(1, saboteur.seeds + 1):
        with pytest.MonkeyPatch.context() as patch:
            saboteur.apply(patch)
            found = broken(saboteur.plan, seed)
        if found:
            return Catch(seed, tuple(found), next(iter(found.values())))
    return None


def broken(plan: str, seed: int) -> dict[str, str]:
    """The invariants that a run of a plan breaks, each with its first violation."""
    run = Run(msgspec.structs.replace(PLANS[plan], seed=seed))
    run.execute()
    assert run.invariants is not None
    found: dict[str, str] = {}
    for violation in run.invariants.violations:
        found.setdefault(violation.invariant, violation.text)
    return found
