"""Copies of the tree in which mutants are judged, one mutant at a time in each."""

from __future__ import annotations

import hashlib
import queue
import shutil
import subprocess
import tempfile
from pathlib import Path
from types import TracebackType
from typing import Final

from tests.mutation import judges, lines
from tests.mutation.verdicts import Mutant, Verdict

LINES_SECONDS: Final = 900.0
"""A marked swarm is slower than one that judges."""


class Trees:
    """So many copies; as a context they are removed at its end.

    Raises RuntimeError when the swarm notices something in a copy without a mutant: no verdict
    would mean anything.
    """

    def __init__(self, root: Path, cache: Path, count: int) -> None:
        self._root = root
        self._cache = cache
        self._folder = Path(tempfile.mkdtemp(prefix="coffer-mutants-"))
        self._free: queue.SimpleQueue[Path] = queue.SimpleQueue()
        for number in range(count):
            self._free.put(self._copied(self._folder / str(number)))
        self._ran = self._lines()

    def __enter__(self) -> Trees:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        shutil.rmtree(self._folder)

    def judged(self, mutant: Mutant) -> Verdict:
        """Change a copy, ask both judges, and set the copy right again."""
        tree = self._free.get()
        file = tree / mutant.module
        before = file.read_text()
        try:
            file.write_text(mutant.mutation.source)
            ran = self._ran.get(mutant.module, set())
            runs = lines.runs(before, mutant.mutation.line, ran)
            swarm = runs and judges.noticed_by_swarm(tree)
            tests = judges.noticed_by_tests(tree, mutant.module)
            return Verdict(mutant.key, tests, swarm, runs)
        finally:
            file.write_text(before)
            self._free.put(tree)

    def _lines(self) -> lines.Lines:
        """Which lines the swarm runs without a mutant; looked at once for the same modules."""
        tree = self._copied(self._folder / "marked")
        modules = judges.targets(tree)
        digest = hashlib.sha256(b"".join((tree / each).read_bytes() for each in modules))
        known = self._cache / f"ran-{digest.hexdigest()[:16]}.json"
        if not known.exists():
            lines.mark(tree, modules)
            if judges.fails(tree, ["-m", judges.SWARM], LINES_SECONDS):
                shutil.rmtree(self._folder)
                raise RuntimeError("The swarm fails without a mutant; mend that first.")
            self._cache.mkdir(parents=True, exist_ok=True)
            shutil.copy(tree / lines.RAN, known)
        return lines.noted(known)

    def _copied(self, to: Path) -> Path:
        listed = subprocess.run(
            ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
            cwd=self._root,
            check=True,
            capture_output=True,
        )
        for name in filter(None, listed.stdout.decode().split("\0")):
            source, target = self._root / name, to / name
            if source.is_file():
                target.parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(source, target)
        return to
