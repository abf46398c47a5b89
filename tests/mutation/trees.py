"""Copies of the tree in which mutants are judged, one mutant at a time in each."""

from __future__ import annotations

import queue
import shutil
import subprocess
import tempfile
from pathlib import Path
from types import TracebackType

from tests.mutation import judges, lines
from tests.mutation.notes import Notes
from tests.mutation.verdicts import Mutant, Verdict


class Trees:
    """So many copies; as a context they are removed at its end.

    Raises RuntimeError when a judge notices something in a copy without a mutant: no verdict would
    mean anything.
    """

    def __init__(self, root: Path, cache: Path, count: int) -> None:
        self._root = root
        self._cache = cache
        self._folder = Path(tempfile.mkdtemp(prefix="coffer-mutants-"))
        self._free: queue.SimpleQueue[Path] = queue.SimpleQueue()
        for number in range(count):
            self._free.put(self._copied(self._folder / str(number)))

    def __enter__(self) -> Trees:
        try:
            self._notes = Notes.of_copy(self._copied(self._folder / "marked"), self._cache)
            self._swarm = self._notes.of("swarm", ["-m", judges.SWARM])
        except BaseException:
            shutil.rmtree(self._folder)
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        shutil.rmtree(self._folder)

    def judged(self, mutant: Mutant, known: Verdict | None = None) -> Verdict:
        """Change a copy, ask both judges, and set the copy right again.

        A judge that has noticed the mutant before is not asked again.
        """
        tree = self._free.get()
        file = tree / mutant.module
        before = file.read_text()
        place = (mutant.module, before, mutant.mutation.line)
        try:
            _write(file, mutant.mutation.source)
            numbers = [each.what for each in lines.who_runs(self._swarm, *place)]
            swarm = known.swarm if known else ""
            if numbers and not swarm:
                swarm = judges.noticed_by_swarm(tree, numbers)
            tests = known.tests if known else ""
            if not tests:
                running = lines.who_runs(
                    self._notes.of_tests(judges.folder_of(mutant.module)), *place
                )
                tests = judges.noticed_by_tests(tree, mutant.module, running)
            return Verdict(mutant.key, tests, swarm, bool(numbers))
        finally:
            _write(file, before)
            self._free.put(tree)

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


def _write(file: Path, source: str) -> None:
    """Change a module; what was compiled of it may be as old and as long as the new one."""
    file.write_text(source)
    for compiled in (file.parent / "__pycache__").glob(f"{file.stem}.*.pyc"):
        compiled.unlink()
