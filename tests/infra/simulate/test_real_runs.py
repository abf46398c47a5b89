"""`coffer simulate` in a process of its own, with real runs."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import msgspec
import pytest

from simulator.result import Result
from tests.infra.simulate.conftest import BOUND_SECONDS, COMMAND


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
