"""`coffer simulate` in this process, with a simulator that hands back what a test wants."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import msgspec
import pytest
from rich.console import Console

from infra.cli import attempt, main, shrinking
from infra.cli.attempt import Given
from infra.cli.shrinking import Search
from simulator.plan import Plan
from simulator.result import Result, Shortest
from simulator.shrink import Failure
from tests.simulator.report import samples

BOUND_SECONDS = 120
COMMAND = (sys.executable, "-c", "from infra.cli import main; main()", "simulate")
SCENARIO = """
title = "A small fleet"
guests = 3
hours = 0.5

[faults]
F1 = 0.1
"""


class Said(NamedTuple):
    """What a command left on the terminal."""

    code: int
    out: str
    err: str


Coffer = Callable[..., Said]


@pytest.fixture
def coffer(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Coffer:
    """Run `coffer simulate` in this process."""

    def run(*arguments: str) -> Said:
        monkeypatch.setattr(sys, "argv", ["coffer", "simulate", *arguments])
        with pytest.raises(SystemExit) as ended:
            main()
        said = capsys.readouterr()
        return Said(int(ended.value.code or 0), said.out, said.err)

    return run


@pytest.fixture
def scenario(tmp_path: Path) -> str:
    path = tmp_path / "small.toml"
    path.write_text(SCENARIO)
    return str(path)


class Runs:
    """Stands for the simulator: keeps the plans it was asked to run, and hands back a result."""

    def __init__(self, result: Result) -> None:
        self.result = result
        self.plans: list[Plan] = []
        self.given: list[Given] = []

    def __call__(self, plan: Plan, given: Given) -> Result:
        self.plans.append(plan)
        self.given.append(given)
        return self.result


class Searches:
    """Stands for the shrinker: finds a plan with one guest, or what a test has put here."""

    def __init__(self) -> None:
        self.seconds: list[float] = []
        self.interrupted = False
        self.complete = True
        self.changes: dict[str, object] = {"guests": 1, "faults": {"F1": 0.1}}

    def __call__(self, plan: Plan, failure: Failure, seconds: float, _: Console) -> Search:
        self.seconds.append(seconds)
        smaller = msgspec.structs.replace(plan, **self.changes)
        found = Shortest(
            what=failure.what,
            plan=msgspec.to_builtins(smaller),
            violation=failure.violation,
            runs=12,
            wall_seconds=4.5,
            complete=self.complete,
        )
        return Search(found, self.interrupted)


@pytest.fixture
def holding(monkeypatch: pytest.MonkeyPatch) -> Runs:
    runs = Runs(samples.result())
    monkeypatch.setattr(attempt, "run", runs)
    return runs


@pytest.fixture
def breaking(monkeypatch: pytest.MonkeyPatch, searches: Searches) -> Runs:
    assert not searches.seconds
    runs = Runs(samples.result(broken=True))
    monkeypatch.setattr(attempt, "run", runs)
    return runs


@pytest.fixture
def searches(monkeypatch: pytest.MonkeyPatch) -> Searches:
    found = Searches()
    monkeypatch.setattr(shrinking, "shortest", found)
    return found
