"""`coffer simulate`: what it refuses, what it says, what it writes, and its exit codes."""

from __future__ import annotations

import shlex
from pathlib import Path

import msgspec
import pytest

from simulator import plan as plans
from simulator.faults import REGISTRY
from simulator.invariants import REGISTRY as INVARIANTS
from simulator.result import ErrorResult, Result
from simulator.run import Run
from tests.infra.simulate.conftest import Coffer, Runs, Searches
from tests.simulator.report import samples


def test_a_run_that_holds_ends_with_0_and_its_summary(
    coffer: Coffer, holding: Runs, scenario: str
) -> None:
    said = coffer(scenario, "--guests", "7", "--hours", "2", "--seed", "11")
    assert said.code == 0
    assert said.err == ""
    for part in ("Operations", "12,410", "duplicate delivery", "✓  I1", "·  I12", "$0.0934"):
        assert part in said.out
    assert "All 5 reached invariants hold, 1 not reached" in said.out
    plan = holding.plans[0]
    assert (plan.guests, plan.hours, plan.seed, plan.faults) == (7, 2.0, 11, {"F1": 0.1})


@pytest.mark.usefixtures("breaking")
def test_a_broken_invariant_ends_with_1_and_what_reproduces_it(
    coffer: Coffer, scenario: str
) -> None:
    said = coffer(scenario)
    assert said.code == 1
    assert "1 of 5 reached invariants broken" in said.out
    for part in ("seed   1", "faults F1=0.1", "two live operations", "killed after its effect 2"):
        assert part in said.out
    assert "5a0c3e1e-94b5-4f7e-8d6f-4a4f5d0b7c11" in said.out


def test_the_command_it_prints_makes_the_same_plan(
    coffer: Coffer, breaking: Runs, scenario: str
) -> None:
    said = coffer(scenario, "--seed", "3", "--hours", "0.1", "--faults", "swarm")
    line = next(line for line in said.out.splitlines() if line.startswith("replay "))
    coffer(*shlex.split(line.removeprefix("replay "))[2:])
    first, second = breaking.plans
    assert first == second


@pytest.mark.usefixtures("breaking")
def test_json_on_stdout_is_all_of_stdout(coffer: Coffer, scenario: str) -> None:
    said = coffer(scenario, "--json", "-")
    assert said.code == 1
    found = msgspec.json.decode(said.out, type=Result)
    assert found.shortest is not None
    assert (found.shortest.what, found.shortest.plan["guests"]) == ("I3", 1)
    found.shortest = None
    assert found == samples.result(broken=True)
    assert "two live operations" in said.err


def test_it_leaves_the_files_it_was_asked_for(
    coffer: Coffer, holding: Runs, scenario: str, tmp_path: Path
) -> None:
    names = ("result.json", "report.html", "plan.json")
    result, report, plan = (tmp_path / name for name in names)
    said = coffer(
        *(scenario, "--seed", "5", "--faults", "swarm", "--json", str(result)),
        *("--html", str(report), "--save-plan", str(plan)),
    )
    assert said.code == 0
    assert all(name in said.out for name in names)
    assert msgspec.json.decode(result.read_bytes(), type=Result) == samples.result()
    assert report.read_text().startswith("<!doctype html>")
    assert plans.read(plan) == holding.plans[0]


def test_a_saved_plan_runs_again(
    coffer: Coffer, holding: Runs, scenario: str, tmp_path: Path
) -> None:
    saved = str(tmp_path / "plan.json")
    coffer(scenario, "--seed", "5", "--faults", "swarm", "--save-plan", saved)
    assert coffer("--replay", saved).code == 0
    first, again = holding.plans
    assert first == again


@pytest.mark.parametrize(
    ("arguments", "part"),
    [
        ((), "Give a scenario"),
        (("{scenario}", "--replay", "plan.json"), "not both"),
        (("nowhere",), "There is no scenario 'nowhere'"),
        (("{folder}/broken.toml",), "cannot be read"),
        (("{folder}/odd.toml",), "colour"),
        (("{scenario}", "--faults", "F99=0.1"), "There is no fault 'F99'"),
        (("{scenario}", "--faults", "F1=0.9"), "F1 must be within 0 and 0.5"),
        (("{scenario}", "--faults", "F1=nan"), "F1 must be within 0 and 0.5"),
        (("{scenario}", "--faults", "F1=much"), "'much' is not a strength"),
        (("{scenario}", "--guests", "0"), "guests must be within"),
        (("{scenario}", "--hours", "-1"), "hours must be within"),
        (("{scenario}", "--guests", "many"), "--guests"),
        (("--replay", "{folder}/none.json"), "cannot be read"),
        (("--replay", "{folder}/broken.toml"), "cannot be read"),
        (("--replay", "{folder}/list.json"), "list.json"),
        (("{scenario}", "--json", "{folder}/no/where.json"), "There is no folder"),
        (("{scenario}", "--html", "{folder}"), "is a folder"),
        (("{scenario}", "--shrink", "-1"), "--shrink must be"),
        (("{scenario}", "--save-shortest", "{folder}"), "is a folder"),
        (("{scenario}", "--html", "{folder}/" + 300 * "x"), "cannot be written"),
        (("{scenario}", "--json", "{folder}/one", "--html", "{folder}/one"), "Two outputs"),
        ((300 * "x",), "--list shows the scenarios"),
        (("{folder}/odd.toml",), "README.md explains scenario files"),
        (("{folder}/odd",), "ends in .toml"),
        (("{folder}/list.json",), "ends in .toml"),
    ],
)
def test_unusable_input_ends_with_2_before_anything_runs(
    coffer: Coffer,
    holding: Runs,
    scenario: str,
    tmp_path: Path,
    arguments: tuple[str, ...],
    part: str,
) -> None:
    (tmp_path / "broken.toml").write_text("guests = = 3\n")
    (tmp_path / "odd.toml").write_text('colour = "blue"\n')
    (tmp_path / "list.json").write_text("[1, 2]\n")
    said = coffer(*(each.format(scenario=scenario, folder=tmp_path) for each in arguments))
    assert said.code == 2
    assert part in said.err.replace("\n", " ")
    assert said.out == ""
    assert holding.plans == []
    assert not (tmp_path / "one").exists()


FULL = "/dev/full"


def test_a_full_disk_keeps_nothing_else_back(
    coffer: Coffer, breaking: Runs, scenario: str, tmp_path: Path
) -> None:
    result = tmp_path / "result.json"
    said = coffer(scenario, "--html", FULL, "--json", str(result))
    assert said.code == 1
    assert f"{FULL} cannot be written: No space left" in said.err
    assert "two live operations" in said.out
    assert msgspec.json.decode(result.read_bytes(), type=Result) == breaking.result


@pytest.mark.usefixtures("holding")
def test_a_file_that_could_not_be_written_is_no_success(coffer: Coffer, scenario: str) -> None:
    assert coffer(scenario, "--html", FULL).code == 2


@pytest.mark.usefixtures("holding")
def test_a_file_that_is_there_is_only_replaced_by_a_result(
    coffer: Coffer, scenario: str, tmp_path: Path
) -> None:
    kept = tmp_path / "kept"
    kept.write_text("before")
    assert coffer(scenario, "--json", str(kept), "--faults", "F99").code == 2
    assert kept.read_text() == "before"
    assert coffer(scenario, "--json", str(kept)).code == 0
    assert kept.read_text().startswith("{")


def test_the_list_shows_every_scenario_and_every_fault(coffer: Coffer) -> None:
    said = coffer("--list")
    assert said.code == 0
    for id_, fault in REGISTRY.items():
        assert id_ in said.out
        assert fault.title in said.out
        assert " ".join(fault.missing.split()) in " ".join(said.out.split())
    for name, title in plans.scenarios().items():
        assert name in said.out
        assert title in said.out
    for id_, invariant in INVARIANTS.items():
        assert f"{id_:<9}  {invariant.title}" in said.out


def test_an_interrupted_run_says_what_is_known(
    coffer: Coffer, scenario: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(*_: object) -> Result:
        raise KeyboardInterrupt

    monkeypatch.setattr(Run, "_heal", interrupted)
    said = coffer(scenario, "--hours", "0.05")
    assert said.code == 130
    assert "Interrupted" in said.err
    for part in ("3 guests", "seed   1", "faults F1=0.1", "--guests 3 --hours 0.05 --seed 1"):
        assert part in said.err


def test_an_error_in_the_run_has_its_own_exit_code(
    coffer: Coffer, scenario: str, searches: Searches, monkeypatch: pytest.MonkeyPatch
) -> None:
    def raising(_: Run) -> None:
        raise KeyError("nobody [expected] this")

    monkeypatch.setattr(Run, "_chaos", raising)
    said = coffer(scenario, "--seed", "9")
    assert said.code == 70
    for part in ("broke off", "KeyError: 'nobody [expected] this'", "seed   9", "replay coffer"):
        assert part in said.err
    assert len(searches.seconds) == 1
    assert "with the same failure, KeyError" in said.err
    assert said.out == ""


@pytest.mark.usefixtures("searches")
def test_an_error_of_an_agent_has_the_same_exit_code(
    coffer: Coffer, holding: Runs, scenario: str
) -> None:
    text = "Traceback\nKeyError: 'x'"
    holding.result.errors = [ErrorResult("the agent of server-1", "KeyError", text)]
    said = coffer(scenario)
    assert said.code == 70
    for part in ("1 unexpected error", "KeyError in the agent of server-1", "seed   1"):
        assert part in said.out


def test_a_broken_promise_weighs_more_than_an_error(
    coffer: Coffer, breaking: Runs, scenario: str
) -> None:
    breaking.result.errors = [ErrorResult("a tenant's request", "KeyError", "KeyError: 'x'")]
    said = coffer(scenario)
    assert said.code == 1
    assert "KeyError in a tenant's request" in said.out
