"""The second run of a plan: in another process, and what its end says about L9."""

from __future__ import annotations

import contextlib
import io
import subprocess
import sys
from types import SimpleNamespace
from typing import cast

import msgspec
import pytest

from simulator import verify
from simulator.plan import Plan
from simulator.result import InvariantResult
from simulator.run import Run
from simulator.verify import SecondRun, compared, second_run

SMALL = Plan(guests=2, hours=0.02, faults={"F1": 0.3}, empty_at_end=False)
ENDINGS = [
    (0, "{hash}", "holds", "1 times"),
    (0, "0123456789abcdef0123", "broken", "the other 0123456789abcdef…"),
    (verify.RAISED, "KeyError: 'x'", "broken", "the second run broke off: KeyError: 'x'"),
    (-9, "", "not reached", "the second process ended with -9"),
]


def test_a_run_has_the_same_trace_in_another_process() -> None:
    run = Run(SMALL)
    with second_run(SMALL) as second:
        result = run.execute()
        compared(run, result, second)
    assert result.invariants["L9"].verdict == "holds"
    assert second.process.args == [sys.executable, "-m", "simulator.verify"]


def test_without_a_second_run_there_is_no_verdict() -> None:
    invariant = Run(SMALL).execute().invariants["L9"]
    assert invariant.verdict == "not reached"
    assert "--verify" in invariant.reason


@pytest.mark.parametrize(("code", "text", "verdict", "said"), ENDINGS)
def test_each_ending_has_its_verdict(code: int, text: str, verdict: str, said: str) -> None:
    run = Run(SMALL)
    result = run.execute()
    ending = (code, text.format(hash=result.trace_hash))
    compared(run, result, cast(SecondRun, SimpleNamespace(ended=lambda: ending)))
    invariant: InvariantResult = result.invariants["L9"]
    texts = [invariant.reason, *(each.text for each in invariant.violations)]
    assert invariant.verdict == verdict
    assert any(said in each for each in texts)


def test_a_second_run_that_nobody_waits_for_is_ended() -> None:
    with pytest.raises(RuntimeError), second_run(SMALL) as second:
        raise RuntimeError
    assert second.process.returncode is not None


def test_a_process_that_fails_says_why() -> None:
    bad = msgspec.structs.replace(SMALL, guests=0)
    with second_run(bad) as second:
        code, text = second.ended()
    assert code == verify.RAISED
    assert text.startswith("PlanError: stdin: guests must be within")


def test_what_a_handler_prints_is_not_the_hash(monkeypatch: pytest.MonkeyPatch) -> None:
    class Loud(Run):
        def _heal(self) -> None:
            sys.stdout.write("loud")
            super()._heal()

    monkeypatch.setattr("simulator.run.Run", Loud)
    given = SimpleNamespace(buffer=io.BytesIO(msgspec.json.encode(SMALL)))
    monkeypatch.setattr(sys, "stdin", given)
    said = io.StringIO()
    with contextlib.redirect_stdout(said):
        assert verify.main() == 0
    assert len(said.getvalue()) == 64


def test_its_environment_has_another_hash_seed(monkeypatch: pytest.MonkeyPatch) -> None:
    seeds = []
    real = subprocess.Popen

    def popen(*args: object, **options: object) -> subprocess.Popen[bytes]:
        environment = cast(dict[str, str], options["env"])
        seeds.append(environment["PYTHONHASHSEED"])
        return cast("subprocess.Popen[bytes]", real(*args, **options))  # type: ignore[call-overload]

    monkeypatch.setattr(subprocess, "Popen", popen)
    for own in ("1", "2"):
        monkeypatch.setenv("PYTHONHASHSEED", own)
        with second_run(SMALL):
            pass
    assert seeds == ["2", "1"]
