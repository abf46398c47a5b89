"""Who judges a mutant: the quick tests of the module's own folder, and a short dense swarm.

Each judge is a process in a copy of the tree, with a bound; one that hangs counts as noticed.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Final

SEEDS: Final = 24
FAIR_SEEDS: Final = 8
"""Of them: without faults, so that what fails has no excuse."""
TESTS_SECONDS: Final = 150.0
SWARM_SECONDS: Final = 150.0
SWARM: Final = "tests.mutation.swarm"
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


def noticed_by_tests(tree: Path, module: str) -> bool:
    """Whether the quick tests of the module's own folder fail."""
    folder = FOLDERS[str(Path(module).parent)]
    command = ["-m", "pytest", "-x", "-q", "-p", "no:cacheprovider", "-p", "no:randomly"]
    return fails(tree, [*command, "-m", QUICK, folder], TESTS_SECONDS)


def noticed_by_swarm(tree: Path) -> bool:
    """Whether a seed of a short swarm breaks a promise, or raises an error."""
    return fails(tree, ["-m", SWARM], SWARM_SECONDS)


def fails(tree: Path, arguments: list[str], seconds: float) -> bool:
    """Whether Python ends with an error, or not at all in so many seconds."""
    process = subprocess.Popen(
        [sys.executable, *arguments],
        cwd=tree,
        env={**os.environ, "PYTHONDONTWRITEBYTECODE": "1"},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        return process.wait(seconds) != 0
    except subprocess.TimeoutExpired:
        return True
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
