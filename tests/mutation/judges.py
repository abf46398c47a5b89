"""Who judges a mutant: the quick tests of the module's own folder, and a short dense swarm.

Each judge is a process in a copy of the tree, with a bound; one that hangs counts as noticed. Both
take those of their tests and plans that run the changed line, the shortest first: what does not run
it cannot notice it.
"""

from __future__ import annotations

import contextlib
import os
import resource
import signal
import subprocess
import sys
from functools import partial
from pathlib import Path
from typing import Final

import msgspec

from tests.mutation.chosen import CHOSEN
from tests.mutation.lines import NOTES_MODULE, Noted

SEEDS: Final = 24
FAIR_SEEDS: Final = 8
"""Of them: without faults, so that what fails has no excuse."""
TEST_SECONDS: Final = "200"
"""For one test; the slowest takes four on an idle core, and others may be at work beside it."""
TESTS_SECONDS: Final = 60.0
"""Of the tests that run a line, by what each took without a mutant; one at least. A mutant that
only later ones would notice counts as one that survives."""
CPU_SECONDS: Final = 300
SECONDS: Final = 1800.0
SWARM: Final = "tests.mutation.swarm"
MARKS: Final = ("FAILED test", "ERROR test", "NOTICED ")
QUICK: Final = "not deep and not crash and not bench and not stack and not database"
NONE_CHOSEN: Final = 5
"""Pytest's exit code when none of a file's tests is quick."""

FOLDERS: Final[dict[str, str]] = {
    "chalicelib/store": "tests/store",
    "chalicelib/bus": "tests/bus",
    "chalicelib/conductor": "tests/conductor",
    "chalicelib/taskmanager": "tests/taskmanager",
    "functions": "tests/functions",
    "guest_agent": "tests/guest_agent",
}
"""Where code that is mutated has its tests."""
SURROUNDINGS: Final = frozenset(
    {"__init__.py", "__main__.py", "config.py", "errors.py", "files.py"}
)
"""Of the guest agent: not its core."""


def targets(tree: Path) -> list[str]:
    """The modules that are mutated, relative to the tree."""
    return [
        str(file.relative_to(tree))
        for folder in FOLDERS
        for file in sorted((tree / folder).glob("*.py"))
        if file.name not in SURROUNDINGS
    ]


def folder_of(module: str) -> str:
    """Where a module has its tests."""
    return FOLDERS[str(Path(module).parent)]


def test_files(tree: Path, folder: str) -> list[str]:
    """The files of its tests, relative to the tree."""
    return [str(file.relative_to(tree)) for file in sorted((tree / folder).rglob("test_*.py"))]


def noting(file: str) -> list[str]:
    """For a marked copy: the arguments for Python that run the quick tests of a file."""
    return [*_tests([file]), "-p", NOTES_MODULE]


def _tests(files: list[str]) -> list[str]:
    command = ["-m", "pytest", "-x", "-q", "-p", "no:cacheprovider", "--timeout", TEST_SECONDS]
    return [*command, "-m", QUICK, *files]


def noticed_by_tests(tree: Path, module: str, running: list[Noted]) -> str:
    """The first of the quick tests of the module's own folder that fails; empty when none does.

    `running`: the tests that run the changed line, the shortest first.
    """
    chosen = first_of(running, module)
    if not chosen:
        return ""
    (tree / CHOSEN).write_bytes(msgspec.json.encode(chosen))
    files = list(dict.fromkeys(each.partition("::")[0] for each in chosen))
    return noticed(tree, [*_tests(files), "-p", "tests.mutation.chosen"])


def first_of(running: list[Noted], module: str) -> list[str]:
    """Those of the file that has the module's name, then the shortest, while there is time."""
    stem = f"test_{Path(module).stem}.py"
    chosen: list[str] = []
    left = TESTS_SECONDS
    for each in sorted(running, key=lambda each: f"/{stem}::" not in each.what):
        if not chosen or each.seconds <= left:
            chosen.append(each.what)
            left -= each.seconds
    return chosen


def noticed_by_swarm(tree: Path, numbers: list[str]) -> str:
    """The first of these plans that breaks a promise or raises an error, and which; or empty."""
    return noticed(tree, ["-m", SWARM, *numbers])


def noticed(tree: Path, arguments: list[str], patience: int = 1) -> str:
    """What Python says in a line with a mark (MARKS) when it ends with an error, or not at all.

    Empty when it ends well. The bound counts its own processor time, so that a busy machine is not
    taken for a mutant that hangs; who waits for something else has a longer one. Both hold so many
    times as long as `patience` says.
    """
    said = tree / "said.txt"
    with said.open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, *arguments],
            cwd=tree,
            env={**os.environ, "PYTHONUNBUFFERED": "1"},
            stdout=output,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
            preexec_fn=partial(_bounded, CPU_SECONDS * patience),
        )
        try:
            code = process.wait(SECONDS * patience)
        except subprocess.TimeoutExpired:
            code = -signal.SIGKILL
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
    if code < 0:
        return "a bound of time"
    if code == NONE_CHOSEN:
        return ""
    lines = said.read_text(errors="replace").splitlines() if code else []
    told = (line.partition(" ")[2].partition(" - ")[0] for line in lines if line.startswith(MARKS))
    return next(told, f"exit code {code}") if code else ""


def _bounded(seconds: int) -> None:
    resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds))
