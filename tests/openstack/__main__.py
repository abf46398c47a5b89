"""Runs a command beside a real OpenStack: `python -m tests.openstack [--state FOLDER] COMMAND …`.

The command finds it by COFFER_OPENSTACK, which names the file of its site. Everything is ended
after it. With `sleep infinity` it is one to work with, until Ctrl-C.
"""

from __future__ import annotations

import argparse
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Final

from tests.openstack.cloud import down, new_site, up
from tests.openstack.site import VARIABLE
from tests.support.installed import installed

REQUIREMENTS: Final = "openstack/requirements.txt"


def main(state: Path | None, command: list[str]) -> int:
    """The command's exit code. The folder, with its logs, stays when that is not 0."""
    signal.signal(signal.SIGTERM, _interrupt)
    folder = state or Path(tempfile.mkdtemp(prefix="coffer-openstack-", dir="/var/tmp"))
    folder.mkdir(parents=True, exist_ok=True)
    folder.chmod(0o755)  # the databases run as users of their own
    with _openstack(folder) as file:
        code = subprocess.run(command, env={**os.environ, VARIABLE: str(file)}, check=False)
    if code.returncode:
        _say(f"The logs of OpenStack: {folder}/processes/*/log")
    elif state is None:
        shutil.rmtree(folder, ignore_errors=True)
    return code.returncode


@contextmanager
def _openstack(folder: Path) -> Iterator[Path]:
    _say("Installing the services' packages, the first time of a tree: some minutes")
    site = new_site(folder, installed("openstack", REQUIREMENTS))
    try:
        up(site, _say)
        file = site.record()
        _say(f"OpenStack answers at {site.auth_url}; how to log in: {file}")
        yield file
    finally:
        down(site)


def _say(line: str) -> None:
    print(line, flush=True)  # noqa: T201


def _interrupt(number: int, frame: FrameType | None) -> None:
    raise KeyboardInterrupt


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="python -m tests.openstack", description=__doc__)
    parser.add_argument("--state", type=Path, help="a new folder to keep (else one of its own)")
    parser.add_argument("command", nargs=argparse.REMAINDER)
    given = parser.parse_args()
    sys.exit(main(given.state, given.command or ["sleep", "infinity"]))
