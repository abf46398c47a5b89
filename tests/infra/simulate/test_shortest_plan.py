"""`coffer simulate` whose run broke a promise: the shortest plan, its command, its file."""

from __future__ import annotations

import io
import shlex
import sys
from pathlib import Path

import msgspec
import pytest

from infra.cli import shrinking
from simulator import plan as plans
from simulator.result import Result
from tests.infra.simulate.conftest import Coffer, Runs, Said, Searches


def shortest_command(said: Said) -> list[str]:
    """The words behind `coffer simulate` that repeat the shortest plan."""
    line = next(line for line in said.out.splitlines() if line.startswith("run "))
    return shlex.split(line.removeprefix("run "))[2:]


def test_the_shortest_plan_comes_with_its_command_and_the_timeline(
    coffer: Coffer, breaking: Runs, searches: Searches, scenario: str
) -> None:
    said = coffer(scenario, "--seed", "3", "--faults", "swarm")
    assert said.code == 1
    assert searches.seconds == [shrinking.SECONDS]
    assert "1 fault, 1 guest, 0.5 h (12 runs in 4.5 s)" in said.out
    assert said.out.count("killed after its effect 2") == 1
    coffer(*shortest_command(said))
    assert (breaking.plans[1].guests, breaking.plans[1].faults) == (1, {"F1": 0.1})


def test_what_options_do_not_say_is_given_on_stdin(
    coffer: Coffer,
    breaking: Runs,
    searches: Searches,
    scenario: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    mix = plans.Workload(mix={"delete": 9.0})
    searches.changes = {"guests": 2, "workload": mix, "empty_at_end": False}
    line = next(
        line for line in coffer(scenario).out.splitlines() if line.startswith("run ")
    ).removeprefix("run ")
    assert "only delete, not emptied" in coffer(scenario).out
    before, _, after = line.partition(" | ")
    document = shlex.split(before)[1]
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(document.encode())))
    coffer(*shlex.split(after)[2:])
    plan = breaking.plans[-1]
    assert (plan.guests, plan.workload, plan.empty_at_end) == (2, mix, False)
    assert plan == msgspec.structs.replace(breaking.plans[0], title="", **searches.changes)


def test_the_shortest_plan_is_saved(
    coffer: Coffer, breaking: Runs, scenario: str, tmp_path: Path
) -> None:
    saved = tmp_path / "short.json"
    said = coffer(scenario, "--save-shortest", str(saved))
    assert said.code == 1
    assert str(saved) in said.out
    assert plans.read(saved) == msgspec.structs.replace(breaking.plans[0], guests=1)


@pytest.mark.usefixtures("breaking")
def test_a_search_that_finds_nothing_or_has_no_time_says_so(
    coffer: Coffer, searches: Searches, scenario: str
) -> None:
    searches.changes, searches.complete = {}, False
    said = coffer(scenario, "--shrink", "5")
    assert said.code == 1
    assert searches.seconds == [5.0]
    assert "none is shorter" in said.out
    assert "not every smaller plan was tried" in said.out


@pytest.mark.usefixtures("breaking")
def test_nothing_is_looked_for_when_nobody_wants_it(
    coffer: Coffer, searches: Searches, scenario: str
) -> None:
    said = coffer(scenario, "--shrink", "0")
    assert said.code == 1
    assert searches.seconds == []
    assert "killed after its effect 2" in said.out
    assert "shortest" not in said.out


@pytest.mark.usefixtures("breaking")
def test_an_interrupted_search_tells_and_writes_what_it_has_found(
    coffer: Coffer, searches: Searches, scenario: str, tmp_path: Path
) -> None:
    searches.interrupted = True
    file = tmp_path / "result.json"
    said = coffer(scenario, "--json", str(file))
    assert said.code == 130
    assert "run " in said.out
    assert msgspec.json.decode(file.read_bytes(), type=Result).shortest is not None


def test_a_run_that_holds_is_not_made_shorter(
    coffer: Coffer, holding: Runs, searches: Searches, scenario: str
) -> None:
    assert coffer(scenario, "--verify").code == 0
    assert searches.seconds == []
    assert holding.given[0].verify
