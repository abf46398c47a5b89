"""Who runs which lines without a mutant, noted in a marked copy of the tree, and kept.

It takes longer than all else, so that each file of tests is noted by itself, when a mutant of its
folder comes, and once for the same code and tests.
"""

from __future__ import annotations

import hashlib
import shutil
import threading
from pathlib import Path
from typing import Final

from tests.mutation import judges, lines

PATIENCE: Final = 4
"""A whole file of tests is noted at once, and each of its statements says so."""


class Notes:
    """What is noted in a marked copy; `kept` is a folder of what is known already."""

    def __init__(self, marked: Path, kept: Path) -> None:
        self._marked = marked
        self._kept = kept
        self._noting = threading.Lock()
        self._known: dict[str, list[lines.Noted]] = {}

    @classmethod
    def of_copy(cls, tree: Path, cache: Path) -> Notes:
        """Mark a copy; what is known is that of the same code."""
        kept = cache / f"lines-{_digest(tree)}"
        lines.mark(tree, judges.targets(tree))
        return cls(tree, kept)

    def of_tests(self, folder: str) -> list[lines.Noted]:
        """What the quick tests of a folder run, the shortest first."""
        found = [
            noted
            for file in judges.test_files(self._marked, folder)
            for noted in self.of(self._name(file), judges.noting(file))
        ]
        return sorted(found, key=lambda noted: noted.seconds)

    def of(self, name: str, judge: list[str]) -> list[lines.Noted]:
        """What a judge runs. Raises RuntimeError for one that is not content without a mutant."""
        with self._noting:
            if name not in self._known:
                kept = self._kept / name
                if not kept.exists():
                    self._note(kept, judge)
                self._known[name] = lines.noted(kept)
            return self._known[name]

    def _note(self, kept: Path, judge: list[str]) -> None:
        ran = self._marked / lines.RAN
        ran.unlink(missing_ok=True)
        failed = judges.noticed(self._marked, judge, patience=PATIENCE)
        if failed:
            raise RuntimeError(f"Mend first what fails without a mutant: {failed}")
        ran.touch()  # none of its tests is quick
        kept.parent.mkdir(parents=True, exist_ok=True)
        shutil.move(ran, kept)

    def _name(self, file: str) -> str:
        """Of what is kept of a file of tests, as it is now."""
        digest = hashlib.sha256((self._marked / file).read_bytes()).hexdigest()[:8]
        return f"{file.replace('/', '.')}-{digest}"


def _digest(tree: Path) -> str:
    """Of the code, without its tests."""
    digest = hashlib.sha256()
    for file in sorted(tree.rglob("*.py")) + sorted(tree.rglob("*.toml")):
        place = str(file.relative_to(tree))
        if not place.startswith("tests/"):
            digest.update(place.encode() + file.read_bytes())
    return digest.hexdigest()[:16]
