"""`coffer simulate`: what it refuses, what it says, what it writes, and its exit codes."""

from __future__ import annotations

import io
import os
import shlex
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import msgspec
import pytest
from rich.console import Console

from infra.cli import attempt, main, running, shrinking, summary
from infra.cli.attempt import Given
from infra.cli.shrinking import Search
from simulator import plan as plans
from simulator.faults import REGISTRY
from simulator.invariants import REGISTRY as INVARIANTS
from simulator.plan import Plan
from simulator.result import Counters, ErrorResult, Result, Shortest
from simulator.run import Run
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
        assert " ".join((fault.missing or fault.reason).split()) in " ".join(said.out.split())
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


# ------------------------------------------------------------------------ the shortest plan


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


# --------------------------------------------------------------------------------- errors


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


# ------------------------------------------------------------------------------- real runs


def test_a_second_process_gives_a_verdict_on_l9(scenario: str) -> None:
    done = in_a_process(scenario, "--hours", "0.02", "--verify", "--json", "-")
    assert done.returncode == 0, done.stderr
    assert msgspec.json.decode(done.stdout, type=Result).invariants["L9"].verdict == "holds"


def test_a_real_run_and_its_replay_have_one_trace(scenario: str, tmp_path: Path) -> None:
    first, html = tmp_path / "first.json", tmp_path / "report.html"
    options = ("--seed", "4", "--hours", "0.1", "--faults", "F1=0.3,F5,F7")
    done = in_a_process(scenario, *options, "--json", str(first), "--html", str(html))
    assert done.returncode == 0, done.stderr
    assert "reached invariants hold" in done.stdout
    again = in_a_process("--replay", str(first), "--json", "-")
    assert again.returncode == 0, again.stderr
    before = msgspec.json.decode(first.read_bytes(), type=Result)
    after = msgspec.json.decode(again.stdout, type=Result)
    assert after.trace_hash == before.trace_hash
    assert before.series.time
    assert before.faults["F1"].strength == 0.3


def in_a_process(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Run `coffer simulate` as a user does."""
    return subprocess.run(
        [*COMMAND, *arguments],
        capture_output=True,
        text=True,
        timeout=BOUND_SECONDS,
        check=False,
    )


@pytest.mark.parametrize("arguments", [["--list"], ["{scenario}", "--json", "-"]])
def test_a_reader_that_goes_away_is_no_broken_promise(scenario: str, arguments: list[str]) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    done = subprocess.run(
        [*COMMAND, *(each.format(scenario=scenario) for each in arguments)],
        stdout=writing,
        stderr=subprocess.PIPE,
        text=True,
        timeout=BOUND_SECONDS,
        check=False,
    )
    os.close(writing)
    assert done.returncode == 141
    assert "Traceback" not in done.stderr


def counters(phase: str = "chaos", violations: int = 0) -> Counters:
    """A run on its way."""
    return Counters(1800.0, 7200.0, 4.0, 250_000, phase, 90, 3, 41, 612, violations)


def test_a_terminal_gets_a_bar_and_counters() -> None:
    text = io.StringIO()
    Console(file=text, width=140, force_terminal=True).print(running.drawn(counters()))
    for part in ("chaos", "30 min of 2 h", "━", "250 k events", "41 operations (3 live)"):
        assert part in text.getvalue()
    assert "450 virtual seconds a second" in text.getvalue()


def test_a_pipe_gets_a_line_for_each_phase() -> None:
    text = io.StringIO()
    lines = running.Lines(Console(file=text, width=140))
    for phase in ("chaos", "chaos", "heal"):
        lines.tell(counters(phase))
    assert [line.split()[0] for line in text.getvalue().splitlines()] == ["chaos", "heal"]


def narrow(text: io.StringIO) -> Console:
    """A small terminal, as the commands see one."""
    return Console(file=text, width=60, force_terminal=True, color_system=None, soft_wrap=True)


def test_a_narrow_terminal_gets_all_counters() -> None:
    text = io.StringIO()
    narrow(text).print(running.drawn(counters()), soft_wrap=False)
    assert "450 virtual seconds a second" in " ".join(text.getvalue().split())
    assert max(map(len, text.getvalue().splitlines())) <= 60


@pytest.mark.parametrize("broken", [False, True])
def test_a_narrow_terminal_gets_whole_words(broken: bool) -> None:
    text = io.StringIO()
    result = samples.result(broken=broken)
    result.operations["delete_everything"] = result.operations["create"]
    summary.show(result, narrow(text))
    assert "…" not in text.getvalue()
    lines = text.getvalue().splitlines()
    assert max(len(line.rstrip()) for line in lines if "trace" not in line) <= 60
    assert sum(line.startswith("delete_everything") for line in lines) > 1
