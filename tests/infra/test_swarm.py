"""`coffer swarm`: its sums, what it says of a failing seed, its exit codes."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import msgspec
import pytest
from rich.console import Console

from infra.cli import main, shrinking
from infra.cli import swarm as swarm_command
from infra.cli.shrinking import Search
from simulator import swarm
from simulator.plan import Plan, load_scenario, with_options
from simulator.result import Shortest
from simulator.shrink import Failure
from simulator.swarm import Broken, Outcome

Coffer = Callable[..., int]


@pytest.fixture
def coffer(monkeypatch: pytest.MonkeyPatch) -> Coffer:
    """Run `coffer swarm` in this process; its exit code."""

    def run(*arguments: str) -> int:
        monkeypatch.setattr(sys, "argv", ["coffer", "swarm", *arguments])
        with pytest.raises(SystemExit) as ended:
            main()
        return int(ended.value.code or 0)

    return run


def outcome(seed: int, *broken: Broken, error: str = "") -> Outcome:
    return Outcome(
        seed,
        {"F1": 0.1},
        guest_hours=2.5,
        injected={"F1": 3},
        verdicts={"I1": "broken" if broken else "holds"},
        broken=list(broken),
        error=error,
        error_kind="KeyError" if error else "",
    )


def stand_in(monkeypatch: pytest.MonkeyPatch, *found: Outcome) -> None:
    def outcomes(plan: Plan, seeds: Sequence[int], jobs: int) -> Iterator[Outcome]:
        yield from found

    monkeypatch.setattr(swarm, "outcomes", outcomes)


def test_seeds_that_hold(
    coffer: Coffer,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
) -> None:
    first, second = outcome(1), outcome(2)
    first.per_guest_month, first.guest_hours = 0.2, 7.5
    second.per_guest_month = 0.6
    stand_in(monkeypatch, first, second)
    lines = tmp_path / "seeds.jsonl"
    assert coffer("chaos", "--seeds", "2", "--json", str(lines)) == 0
    said = capsys.readouterr().out
    assert "2 seeds · 10 virtual guest-hours" in said
    assert "$0.300 a guest and month" in said
    assert "hold under every seed that was run" in said
    read = [msgspec.json.decode(line, type=Outcome) for line in lines.read_bytes().splitlines()]
    assert [each.seed for each in read] == [1, 2]


def ran(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The seeds that are run from now on; each holds."""
    asked: list[int] = []

    def outcomes(plan: Plan, seeds: Sequence[int], jobs: int) -> Iterator[Outcome]:
        for seed in seeds:
            asked.append(seed)
            yield msgspec.structs.replace(outcome(seed), plan=swarm.of_plan(plan))

    monkeypatch.setattr(swarm, "outcomes", outcomes)
    return asked


def test_a_swarm_that_is_resumed_runs_the_seeds_that_its_file_lacks(
    coffer: Coffer,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
) -> None:
    lines, asked = tmp_path / "seeds.jsonl", ran(monkeypatch)
    file = ("--json", str(lines), "--resume")
    assert coffer("chaos", "--seeds", "2", "--first", "2", *file) == 0
    with lines.open("ab") as cut_off:
        cut_off.write(b'{"seed": 4, "fau')
    assert coffer("chaos", "--seeds", "4", *file) == 0
    assert asked == [2, 3, 1, 4]
    assert "4 seeds · 10 virtual guest-hours" in capsys.readouterr().out
    read = [msgspec.json.decode(line, type=Outcome) for line in lines.read_bytes().splitlines()]
    assert [each.seed for each in read] == asked


def test_a_swarm_is_not_resumed_without_a_file_or_with_another_plans(
    coffer: Coffer,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
) -> None:
    lines, asked = tmp_path / "seeds.jsonl", ran(monkeypatch)
    file = ("--seeds", "1", "--json", str(lines), "--resume")
    assert coffer("chaos", "--resume") == 2
    assert coffer("chaos", *file) == 0
    assert coffer("chaos", "--guests", "3", *file) == 2
    assert "another plan" in capsys.readouterr().err
    lines.write_bytes(b"[]\n")
    assert coffer("chaos", *file) == 2
    assert asked == [1]


CHAOS = ("chaos", "--seeds", "2", "--first", "7", "--guests", "4", "--hours", "0.5")


def test_a_failing_seed_comes_with_its_faults_and_its_command(
    coffer: Coffer, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    stand_in(
        monkeypatch,
        outcome(7, Broken("I1", 3.0, "from ACTIVE to [BUILD]")),
        outcome(8, error="Traceback\nKeyError: 'x'"),
    )
    assert coffer(*CHAOS, "--shrink", "0") == 1
    said = capsys.readouterr()
    assert "seed 7: I1 from ACTIVE to [BUILD]" in said.err
    assert "faults F1=0.1" in said.err
    assert "coffer simulate chaos --guests 4 --hours 0.5 --seed 7" in said.err
    assert "seed 8: nobody expected KeyError: 'x'" in said.err
    assert "2 failing seeds: 7, 8" in said.out


def test_the_command_names_the_scenario_as_it_was_given(
    coffer: Coffer,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
) -> None:
    scenario = tmp_path / "small.toml"
    scenario.write_text("guests = 3\n")
    stand_in(monkeypatch, outcome(1, Broken("I1", 3.0, "it broke")))
    assert coffer(str(scenario), "--seeds", "1", "--shrink", "0") == 1
    assert f"coffer simulate {scenario} --guests 3" in capsys.readouterr().err


def test_an_interrupted_swarm_tells_the_sums_so_far(
    coffer: Coffer, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def outcomes(plan: Plan, seeds: Sequence[int], jobs: int) -> Iterator[Outcome]:
        yield outcome(7, Broken("I1", 3.0, "it broke"))
        raise KeyboardInterrupt

    monkeypatch.setattr(swarm, "outcomes", outcomes)
    assert coffer(*CHAOS) == 130
    said = capsys.readouterr()
    assert "after 1 of 2 seeds" in said.err
    assert "1 seed · 2.5 virtual guest-hours" in said.out
    assert "1 failing seed: 7" in said.out


def test_a_pipe_gets_a_line_now_and_then(
    coffer: Coffer, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(swarm_command, "LINE_SECONDS", 0.0)
    stand_in(monkeypatch, outcome(7), outcome(8))
    assert coffer(*CHAOS) == 0
    assert "1 of 2 seeds  2.5 guest-hours · 3 faults · 0 failing" in capsys.readouterr().err


def test_errors_alone_have_their_own_exit_code(
    coffer: Coffer, monkeypatch: pytest.MonkeyPatch
) -> None:
    stand_in(monkeypatch, outcome(7), outcome(8, error="Traceback\nKeyError: 'x'"))
    assert coffer(*CHAOS, "--shrink", "0") == 70


@pytest.mark.parametrize(("interrupted", "code"), [(False, 1), (True, 130)])
def test_the_lowest_failing_seed_comes_with_its_shortest_plan(
    coffer: Coffer,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    interrupted: bool,
    code: int,
) -> None:
    def shortest(plan: Plan, failure: Failure, seconds: float, _: Console) -> Search:
        assert seconds == shrinking.SECONDS
        smaller = msgspec.to_builtins(with_options(plan, guests=1, faults="none"))
        return Search(Shortest("I3", smaller, failure.violation, 9, 2.0, True), interrupted)

    monkeypatch.setattr(shrinking, "shortest", shortest)
    later, first = Broken("I1", 9.0, "later"), Broken("I3", 3.0, "two live", timeline=["its life"])
    stand_in(monkeypatch, outcome(8, later), outcome(7, later, first))
    assert coffer(*CHAOS) == code
    said = capsys.readouterr().out
    assert "The shortest plan with the same failure, I3" in said
    assert "coffer simulate chaos --guests 1 --hours 0.5 --seed 7 --faults none" in said
    assert "its life" in said


@pytest.mark.parametrize(
    "arguments",
    [
        ["nowhere"],
        ["chaos", "--seeds", "0"],
        ["chaos", "--jobs", "0"],
        ["chaos", "--shrink", "-1"],
        ["chaos", "--faults", "F99"],
        ["chaos", "--guests", "0"],
        ["chaos", "--json", "/no/such/folder/file"],
    ],
)
def test_what_cannot_be_used_is_refused(
    coffer: Coffer, capsys: pytest.CaptureFixture[str], arguments: list[str]
) -> None:
    assert coffer(*arguments) == 2
    assert "Error:" in capsys.readouterr().err


def test_processes_run_each_seed_as_it_runs_alone() -> None:
    plan = with_options(load_scenario("chaos"), guests=2, hours=0.1)
    found = {each.seed: each for each in swarm.outcomes(plan, range(3, 6), 2)}
    assert sorted(found) == [3, 4, 5]
    alone = swarm.run_seed(msgspec.structs.replace(plan, seed=4))
    assert not alone.error
    assert found[4].trace_hash == alone.trace_hash


def test_a_run_that_breaks_off_is_a_failing_seed(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(plan: Plan) -> None:
        raise RuntimeError("no")

    monkeypatch.setattr(swarm, "Run", broken)
    found = swarm.run_seed(with_options(load_scenario("smoke"), seed=4))
    assert found.failed
    assert "RuntimeError: no" in found.error
    assert found.failure().what == "RuntimeError"
