"""The mutation tool's own parts: what it changes, what it leaves, what it remembers."""

from __future__ import annotations

import ast
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.mutation import chosen, judges, lines
from tests.mutation.__main__ import sample
from tests.mutation.notes import Notes
from tests.mutation.operators import mutations
from tests.mutation.report import report
from tests.mutation.verdicts import Again, Verdict, Verdicts, mutants

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


def test_what_the_type_checker_sees_to_is_left_alone() -> None:
    source = "class Told(Struct, frozen=True, kw_only=True, omit_defaults=True):\n    pass\n"
    assert [each.before for each in mutations(source)] == ["True"]
    assert not list(mutations("Tell = Callable[[str, int], None]\n"))


def test_moments_are_reversed_instead_of_shifted_by_an_instant() -> None:
    found = [each.after for each in mutations("late = aws.clock() - 1 > until")]
    assert "(aws.clock() - 1 <= until)" in found
    assert [each.after for each in mutations("full = used > most")] == ["(used >= most)"]


def test_parentheses_stay() -> None:
    found = [each.after for each in mutations("(ended := at(2)) == (a or b)")]
    assert "((ended := at(2)) != (a or b))" in found


def test_none_is_not_returned_instead_of_false() -> None:
    source = "def all_is_well():\n    return False\n"
    assert [each.after for each in mutations(source)] == ["True"]
    assert "return None" in [each.after for each in mutations(source.replace("False", "0"))]


SMALL = "def half(x):\n    if x % 2:\n        return 0\n    return x // 2\n"


def test_who_runs_a_line_is_noted(tmp_path: Path) -> None:
    (tmp_path / "module.py").write_text(SMALL)
    lines.mark(tmp_path, ["module.py"])
    used = "import module, notes_of_lines as notes\n"
    (tmp_path / "used.py").write_text(
        used + "for x in (3, 4): module.half(x); notes.close(str(x), 10 - x)\n"
    )
    assert not judges.noticed(tmp_path, ["used.py"])
    noted = lines.noted(tmp_path / lines.RAN)
    running = [lines.who_runs(noted, "module.py", SMALL, line) for line in (1, 2, 3, 4)]
    assert [[each.what for each in those] for those in running] == [
        ["4", "3"],
        ["4", "3"],
        ["3"],
        ["4"],
    ]


def test_only_tests_that_run_a_line_are_asked_in_their_order(tmp_path: Path) -> None:
    (tmp_path / "test_small.py").write_text("".join(f"def test_{x}(): pass\n" for x in "abc"))
    shutil.copy(chosen.__file__, tmp_path / "chosen.py")
    (tmp_path / chosen.CHOSEN).write_text('["test_small.py::test_c", "test_small.py::test_a"]')
    command = [sys.executable, "-m", "pytest", "-v", "-p", "chosen", "-p", "no:cacheprovider"]
    said = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True).stdout
    assert re.findall(r"::test_(.) PASSED", said) == ["c", "a"]


def test_the_file_of_the_modules_name_comes_first_and_what_takes_too_long_is_left_out() -> None:
    def noted(what: str, seconds: float) -> lines.Noted:
        return lines.Noted(what, seconds, set())

    short, usual = noted("tests/store/test_a.py::t", 1.0), noted("tests/store/test_b.py::t", 50.0)
    named = noted("tests/store/test_quotas.py::t", 30.0)
    said = judges.first_of([short, named, usual], "chalicelib/store/quotas.py")
    assert said == [named.what, short.what]
    long = noted("tests/store/test_a.py::long", 1000.0)
    assert judges.first_of([long], "chalicelib/store/quotas.py") == [long.what]


def test_who_is_asked_is_noted_once_for_each_file_of_tests(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A stop between two files loses nothing of what was noted."""
    asked: list[str] = []

    def noticed(tree: Path, arguments: list[str], patience: int) -> str:
        asked.append(arguments[-1])
        (tree / lines.RAN).write_text('{"what": "t", "seconds": 1.0, "lines": []}\n')
        return ""

    monkeypatch.setattr(judges, "noticed", noticed)
    notes = Notes(tmp_path, tmp_path / "kept")
    for _ in range(2):
        assert [each.what for each in notes.of("a", ["a.py"])] == ["t"]
    assert Notes(tmp_path, tmp_path / "kept").of("a", ["a.py"]) == notes.of("a", ["a.py"])
    assert asked == ["a.py"]
    monkeypatch.setattr(judges, "noticed", lambda *_, patience: "t failed")
    with pytest.raises(RuntimeError, match="without a mutant: t failed"):
        notes.of("b", ["b.py"])


def test_a_process_that_hangs_or_fails_has_noticed_something(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert judges.noticed(tmp_path, ["-c", "raise SystemExit(1)"]) == "exit code 1"
    told = "print('ERROR test_small'); raise SystemExit(1)"
    assert judges.noticed(tmp_path, ["-c", told]) == "test_small"
    assert not judges.noticed(tmp_path, ["-c", "print('ERROR test_small')"])
    monkeypatch.setattr(judges, "CPU_SECONDS", 1)
    assert judges.noticed(tmp_path, ["-c", "while True: pass"]) == "a bound of time"
    monkeypatch.setattr(judges, "SECONDS", 0.5)
    assert judges.noticed(tmp_path, ["-c", "import signal; signal.pause()"]) == "a bound of time"


def test_every_module_has_mutants_and_a_folder_of_tests() -> None:
    assert all((ROOT / folder).is_dir() for folder in judges.FOLDERS.values())
    found = mutants(ROOT)
    assert {each.module for each in found} <= set(judges.targets(ROOT))
    assert len({each.key for each in found}) == len(found) > 1000


def test_a_smaller_sample_is_the_begin_of_a_larger_one() -> None:
    found = mutants(ROOT)
    assert sample(found, 40, 1) == sample(found, 200, 1)[:40]
    assert sample(found, 40, 1) != sample(found, 40, 2)


def test_a_sample_stays_when_other_mutants_come_or_go() -> None:
    found = mutants(ROOT)
    chosen = sample(found, 200, 1)
    others = [each for each in found if each not in chosen]
    assert sample(chosen + others[::2], 100, 1) == chosen[:100]


def test_verdicts_are_kept(tmp_path: Path) -> None:
    known, other = mutants(ROOT)[:2]
    verdict = Verdict(known.key, tests="test_small.py", swarm="", ran=True)
    Verdicts(tmp_path / "v.jsonl").add(known, verdict)
    again = Verdicts(tmp_path / "v.jsonl")
    assert again.of(known) == verdict
    assert again.of(other) is None


@pytest.mark.parametrize(
    ("tests", "swarm", "ran", "survived", "missed"),
    [
        ("", "", True, True, True),
        ("t", "", True, False, True),
        ("", "s", True, False, True),
        ("t", "", False, False, False),
        ("t", "s", True, False, False),
    ],
)
def test_a_mutant_may_be_judged_again(
    tmp_path: Path, tests: str, swarm: str, ran: bool, survived: bool, missed: bool
) -> None:
    verdicts = Verdicts(tmp_path / "v.jsonl")
    mutant = mutants(ROOT)[0]
    assert verdicts.wanted(mutant, Again.NONE)
    verdicts.add(mutant, Verdict(mutant.key, tests, swarm, ran))
    assert not verdicts.wanted(mutant, Again.NONE)
    assert verdicts.wanted(mutant, Again.SURVIVORS) == survived
    assert verdicts.wanted(mutant, Again.MISSED) == missed


def test_a_report_names_who_survived(capsys: pytest.CaptureFixture[str]) -> None:
    known, other = mutants(ROOT)[:2]
    noticed = Verdict(known.key, tests="test_small.py", swarm="3 quota", ran=True)
    survived = Verdict(other.key, tests="", swarm="", ran=False)
    assert report([(known, noticed)], 1)
    assert not report([(known, noticed), (other, survived)], 2)
    said = capsys.readouterr().out
    assert f"{other.module}:{other.mutation.line} {other.mutation.what}" in said
    assert "1 of    2  50 %" in said
