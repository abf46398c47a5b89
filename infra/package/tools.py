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


def environment(
    name: str,
    requirements: Path,
    cache: Path,
    *,
    whole: bool = False,
    seconds: float = INSTALL_TIMEOUT_SECONDS,
) -> Path:
    """The folder of a tool's virtual environment, made once for each content of its requirements:
    one that runs keeps its own when the list changes. A `whole` list names all that is needed, so
    that pip has nothing to look for; `seconds` bounds the installation.

    Raises PackageError with pip's last words.
    """
    # Its commands name the folder in which it was made.
    made_of = requirements.read_bytes() + sys.version.encode() + bytes(cache.resolve())
    digest = hashlib.sha256(made_of).hexdigest()[:12]
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
            _install(name, requirements, folder.resolve(), whole, seconds)
            complete.touch()
    return folder


def _install(name: str, requirements: Path, folder: Path, whole: bool, seconds: float) -> None:
    steps = (
        # The pip that is here installs: one there would take longer to make than most tools.
        [sys.executable, "-m", "venv", "--without-pip", str(folder)],
        [
            *(sys.executable, "-m", "pip", "--python", str(folder / "bin" / "python"), "install"),
            *("--quiet", "--disable-pip-version-check", "--no-compile"),
            *(("--no-deps",) if whole else ()),
            *("--requirement", str(requirements)),
        ],
    )
    for command in steps:
        commands.run(
            command,
            f"{name} could not be installed",
            PIP_ADVICE,
            seconds=seconds,
        )
