"""Who judges a mutant: the quick tests of the module's own folder, and a short dense swarm.

Each judge is a process in a copy of the tree, with a bound; one that hangs counts as noticed. Both
begin with those of their tests and plans that run the changed line.
"""

from __future__ import annotations

import contextlib
import os
import resource
import signal
import subprocess
import sys
from pathlib import Path
from typing import Final

import msgspec

from tests.mutation.first import FIRST
from tests.mutation.lines import NOTES_MODULE

SEEDS: Final = 24
FAIR_SEEDS: Final = 8
"""Of them: without faults, so that what fails has no excuse."""
TEST_SECONDS: Final = "200"
"""For one test; the slowest takes four on an idle core, and others may be at work beside it."""
CPU_SECONDS: Final = 300
SECONDS: Final = 1800.0
SWARM: Final = "tests.mutation.swarm"
MARKS: Final = ("FAILED test", "ERROR test", "NOTICED ")
QUICK: Final = "not crash and not bench and not stack and not database"

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


def all_tests() -> list[list[str]]:
    """For a marked copy: the arguments for Python that run the quick tests of each folder."""
    return [[*_tests(folder), "-p", NOTES_MODULE] for folder in FOLDERS.values()]


def _tests(folder: str) -> list[str]:
    command = ["-m", "pytest", "-x", "-q", "-p", "no:cacheprovider", "--timeout", TEST_SECONDS]
    return [*command, "-m", QUICK, folder]


def noticed_by_tests(tree: Path, module: str, first: list[str]) -> str:
    """The first of the quick tests of the module's own folder that fails; empty when none does.

    `first`: the tests to begin with. None is left out.
    """
    (tree / FIRST).write_bytes(msgspec.json.encode(first))
    folder = FOLDERS[str(Path(module).parent)]
    return noticed(tree, [*_tests(folder), "-p", "tests.mutation.first"])


def noticed_by_swarm(tree: Path, numbers: list[str]) -> str:
    """The first of these plans that breaks a promise or raises an error, and which; or empty."""
    return noticed(tree, ["-m", SWARM, *numbers])


def noticed(tree: Path, arguments: list[str]) -> str:
    """What Python says in a line with a mark (MARKS) when it ends with an error, or not at all.

    Empty when it ends well. The bound counts its own processor time, so that a busy machine is not
    taken for a mutant that hangs; who waits for something else has a longer one.
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
            preexec_fn=_bounded,
        )
        try:
            code = process.wait(SECONDS)
        except subprocess.TimeoutExpired:
            code = -signal.SIGKILL
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
    if code < 0:
        return "a bound of time"
    lines = said.read_text(errors="replace").splitlines() if code else []
    told = (line.partition(" ")[2].partition(" - ")[0] for line in lines if line.startswith(MARKS))
    return next(told, f"exit code {code}") if code else ""


def _bounded() -> None:
    resource.setrlimit(resource.RLIMIT_CPU, (CPU_SECONDS, CPU_SECONDS))
