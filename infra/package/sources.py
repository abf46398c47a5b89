"""Where the project's sources are, and one digest over those that are deployed."""

import hashlib
from collections.abc import Iterable, Iterator
from pathlib import Path

PROJECT_ROOT = Path(__file__).parents[2]
"""The project's folder, or where an installed wheel lies."""
FROM_THE_PROJECT = Path(__file__).with_name("project")
"""What a build needs of the project's own folder: links to it, which a wheel has as files."""

DEPLOYED = (
    "app.py",
    "chalicelib",
    "functions",
    "infra/package",
    "infra/policies",
    "infra/template",
)


def source_files(root: Path, names: Iterable[str]) -> Iterator[Path]:
    """Every file below the named entries of `root`, sorted, without what Python leaves behind."""
    for name in names:
        path = root / name
        if path.is_file():
            yield path
            continue
        for file in sorted(path.rglob("*")):
            if file.is_file() and "__pycache__" not in file.parts and file.suffix != ".pyc":
                yield file


def digest_of(root: Path, names: Iterable[str], *extra: str) -> str:
    """16 hex digits over the names and contents of the files, and `extra`."""
    total = hashlib.sha256()
    for file in source_files(root, names):
        total.update(str(file.relative_to(root)).encode() + b"\0")
        total.update(hashlib.sha256(file.read_bytes()).digest())
    for text in extra:
        total.update(text.encode() + b"\0")
    return total.hexdigest()[:16]
