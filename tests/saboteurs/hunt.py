"""Runs a plan with a saboteur at work, seed by seed, until an invariant notices."""

from __future__ import annotations

from typing import NamedTuple

import msgspec
import pytest

from simulator.faults.f19_deploy import Deploy
from simulator.run import Run
from tests.saboteurs.plans import PLANS
from tests.saboteurs.registry import Patch
from tests.saboteurs.saboteurs import Saboteur


class Catch(NamedTuple):
    """Who noticed a saboteur, at which seed (from 1), and what was said."""

    seed: int
    invariants: tuple[str, ...]
    text: str


def hunt(saboteur: Saboteur) -> Catch | None:
    """The first catch within the saboteur's bound, or None: it has survived."""
    for seed in range(1, saboteur.seeds + 1):
        with pytest.MonkeyPatch.context() as monkeypatch:
            saboteur.apply(Patch(monkeypatch))
            found = broken(saboteur.plan, seed)
        if found:
            return Catch(seed, tuple(found), next(iter(found.values())))
    return None


def broken(plan: str, seed: int) -> dict[str, str]:
    """The invariants that a run of a plan breaks, each with its first violation.

    What a deployment loses no invariant of the contract names: there F19 itself ends the run.
    """
    run = Run(msgspec.structs.replace(PLANS[plan], seed=seed))
    try:
        run.execute()
    except AssertionError as error:
        deployments = [each for each in run.faults if isinstance(each, Deploy) and each.lost]
        if not deployments:
            raise
        return {deployments[0].id: str(error)}
    assert run.invariants is not None
    found: dict[str, str] = {}
    for violation in run.invariants.violations:
        found.setdefault(violation.invariant, violation.text)
    return found
