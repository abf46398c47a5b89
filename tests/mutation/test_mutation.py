"""The mutation tool's own parts: what it changes, what it leaves, what it remembers."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from tests.mutation import judges, lines
from tests.mutation.__main__ import sample
from tests.mutation.operators import mutations
from tests.mutation.report import report
from tests.mutation.verdicts import Verdict, Verdicts, mutants

ROOT = Path(__file__).resolve().parents[2]
SOURCE = '''"""A module."""

BOUND: int = 3


def judge(ä: int, b: int) -> bool:
    """Text is left alone: 1 < 2."""
    log.info("%s", ä + b)
    assert ä != b
    if ä < b and b not in (1, 2):
        raise ValueError(f"{ä + 1}")
    return tell(ä & b)
'''


def test_each_mutant_is_a_module_that_differs_in_one_place() -> None:
    found = list(mutations(SOURCE))
    assert len({each.source for each in found}) == len(found)
    for each in found:
        ast.parse(each.source)
        assert each.source != SOURCE
        assert SOURCE.splitlines()[each.line - 1] not in each.source.splitlines()


def test_what_is_changed_and_what_is_left_alone() -> None:
    changed = {(each.line, each.before, each.after) for each in mutations(SOURCE)}
    assert (3, "3", "4") in changed
    assert (10, "ä < b", "(ä <= b)") in changed
    assert (10, "b not in (1, 2)", "(b in (1, 2))") in changed
    assert (10, "ä < b and b not in (1, 2)", "((ä < b))") in changed
    assert (11, 'raise ValueError(f"{ä + 1}")', "pass") in changed
    assert (12, "ä & b", "(ä)") in changed
    assert (12, "return tell(ä & b)", "return None") in changed
    assert not {line for line, _, _ in changed} & {1, 7, 8, 9}


def test_whether_a_value_is_frozen_is_left_alone() -> None:
    source = "class Told(Struct, frozen=True, omit_defaults=True):\n    pass\n"
    assert [each.before for each in mutations(source)] == ["True"]


def test_the_lines_that_run_are_noted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = "def half(x):\n    if x % 2:\n        return 0\n    return x // 2\n\n\nhalf(4)\n"
    (tmp_path / "module.py").write_text(source)
    lines.mark(tmp_path, ["module.py"])
    assert not judges.fails(tmp_path, ["module.py"], 20.0)
    ran = lines.noted(tmp_path / lines.RAN)["module.py"]
    assert [lines.runs(source, line, ran) for line in (2, 3, 4, 7)] == [True, False, True, True]


def test_a_process_that_hangs_or_fails_has_noticed_something(tmp_path: Path) -> None:
    assert judges.fails(tmp_path, ["-c", "while True: pass"], 0.5)
    assert judges.fails(tmp_path, ["-c", "raise SystemExit(1)"], 20.0)
    assert not judges.fails(tmp_path, ["-c", "pass"], 20.0)


def test_every_module_has_mutants_and_a_folder_of_tests() -> None:
    assert all((ROOT / folder).is_dir() for folder in judges.FOLDERS.values())
    found = mutants(ROOT)
    assert {each.module for each in found} <= set(judges.targets(ROOT))
    assert len({each.key for each in found}) == len(found) > 1000


def test_a_smaller_sample_is_the_begin_of_a_larger_one() -> None:
    found = mutants(ROOT)
    assert sample(found, 40, 1) == sample(found, 200, 1)[:40]
    assert sample(found, 40, 1) != sample(found, 40, 2)


def test_verdicts_are_kept(tmp_path: Path) -> None:
    first, other = mutants(ROOT)[:2]
    verdict = Verdict(first.key, tests=True, swarm=False, ran=True)
    Verdicts(tmp_path / "v.jsonl").add(first, verdict)
    again = Verdicts(tmp_path / "v.jsonl")
    assert first in again
    assert again.of(first) == verdict
    assert other not in again


def test_a_report_names_who_survived(capsys: pytest.CaptureFixture[str]) -> None:
    first, other = mutants(ROOT)[:2]
    noticed = Verdict(first.key, tests=True, swarm=True, ran=True)
    survived = Verdict(other.key, tests=False, swarm=False, ran=False)
    assert report([(first, noticed)], 1)
    assert not report([(first, noticed), (other, survived)], 2)
    said = capsys.readouterr().out
    assert f"{other.module}:{other.mutation.line} {other.mutation.what}" in said
    assert "1 of    2  50 %" in said
