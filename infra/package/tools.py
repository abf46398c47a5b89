"""Tools in environments of their own below the cache: their pins must not meet the project's."""

import fcntl
import hashlib
import shutil
import sys
from pathlib import Path
from typing import Final

from infra import commands

INSTALL_TIMEOUT_SECONDS: Final = 300
PIP_ADVICE: Final = "Check that pip reaches its package index, then run the command again."


def environment(name: str, requirements: Path, cache: Path) -> Path:
    """The folder of a tool's virtual environment, made once for each content of its requirements.

    Raises PackageError with pip's last words.
    """
    digest = hashlib.sha256(requirements.read_bytes() + sys.version.encode()).hexdigest()[:12]
    folder = cache / f"{name}-{digest}"
    complete = folder / "complete"
    if complete.exists():
        return folder
    cache.mkdir(parents=True, exist_ok=True)
    with (cache / f"{name}.lock").open("w") as lock:
        # A virtual environment can't be moved into place: who comes second waits here.
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not complete.exists():
            shutil.rmtree(folder, ignore_errors=True)
            _install(name, requirements, folder)
            complete.touch()
    return folder


def _install(name: str, requirements: Path, folder: Path) -> None:
    steps = (
        # The pip that is here installs: one there would take longer to make than most tools.
        [sys.executable, "-m", "venv", "--without-pip", str(folder)],
        [
            *(sys.executable, "-m", "pip", "--python", str(folder / "bin" / "python"), "install"),
            *("--quiet", "--disable-pip-version-check", "--no-compile"),
            *("--requirement", str(requirements)),
        ],
    )
    for command in steps:
        commands.run(
            command,
            f"{name} could not be installed",
            PIP_ADVICE,
            seconds=INSTALL_TIMEOUT_SECONDS,
        )
