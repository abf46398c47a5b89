"""Releases of the guest agent that differ from these sources in one line, as real bundles."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Final

from infra.image import bundle
from infra.image.bundle import Bundle
from infra.package.sources import source_files
from tests.support.agent_bundles import DIES

ROOT: Final = Path(__file__).resolve().parents[2]
SOUND: Final = "# The release after this one."
BROKEN: Final = DIES
_NEEDED: Final = (
    *(bundle.AGENT, "chalicelib", bundle.GUEST_FILES),
    *("pyproject.toml", "requirements-dev.txt"),
)


def make(folder: Path, line: str) -> Bundle:
    """The bundle of the sources with that line at the end of the agent's first module."""
    copy = folder / "sources"
    for file in source_files(ROOT, _NEEDED):
        target = copy / file.relative_to(ROOT)
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(file, target)
    with (copy / bundle.AGENT / "__init__.py").open("a") as module:
        module.write(f"\n{line}\n")
    made = bundle.make(copy, folder)
    shutil.rmtree(copy)
    return made
