"""The first data directory: made beside its place and renamed, so that it is whole or absent."""

from __future__ import annotations

import ctypes
import logging
import os
import shutil
import signal
import subprocess
from pathlib import Path
from typing import Any, Final

from chalicelib.bus.contract.arguments import Flavor
from guest_agent.datastores import processes
from guest_agent.datastores.error_log import ErrorLog
from guest_agent.datastores.os_user import OsUser
from guest_agent.datastores.server import Server
from guest_agent.errors import GuestError
from guest_agent.files import sync_directory

INITIALISE_SECONDS: Final = 300.0
_LOGGED: Final = 4000  # characters of what the installer said, for the operator
_ENDED: Final = "the database server ended before its time"
_log = logging.getLogger(__name__)


class Interrupted(GuestError):
    """The program that makes the data directory did not end by itself, or not well."""


def make(server: Server[Any], flavor: Flavor) -> bool:
    """Make the data directory unless it is there; true when it was made."""
    layout, user, maker = server.layout, server.user, server.maker
    if layout.data.exists():
        take_over(server)
        return False
    processes.kill_all_with(server.making_argument, maker.uid)
    shutil.rmtree(layout.unfinished, ignore_errors=True)
    maker.make_folder(layout.unfinished)
    user.make_folder(layout.scratch)
    maker.check_can_reach(layout.unfinished)
    run(server.making(flavor), maker, server.log)
    user.take_over(layout.unfinished)
    place(layout.unfinished, layout.data)
    return True


def place(made: Path, target: Path) -> None:
    """Give what was made on a volume its name, in one step, once all of it is durable."""
    _sync_file_system(made)
    made.rename(target)
    sync_directory(target.parent)


def take_over(server: Server[Any]) -> None:
    """Give the data directory of a former server to this one's user; `GuestError` for none."""
    name = server.ENGINE.name
    if not server.layout.data.exists():
        raise GuestError(f"the volume holds no {name} data directory, and none is made")
    if not server.holds_data():
        raise GuestError(f"the volume holds something that is not a {name} data directory")
    server.user.take_over(server.layout.data)


def run(command: list[str], user: OsUser, log: ErrorLog) -> None:
    """Run the program that makes it; `Interrupted` with what it complained of first."""
    with subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        env=processes.environment(),
        cwd="/",
        start_new_session=True,
        text=True,
        errors="replace",
        **user.child_options(),
    ) as child:
        try:
            output, _ = child.communicate(timeout=INITIALISE_SECONDS)
        except subprocess.TimeoutExpired:
            os.killpg(child.pid, signal.SIGKILL)
            raise GuestError(
                f"the data directory was not initialised within {INITIALISE_SECONDS:.0f} s"
            ) from None
    if child.returncode != 0:
        _log.error("The data directory was not initialised:\n%s", output.strip()[-_LOGGED:])
        cause = log.first_of(output) or _ENDED
        raise Interrupted(f"the data directory was not initialised: {cause}")


def _sync_file_system(folder: Path) -> None:
    """Make everything on the volume durable before the rename says that it is complete."""
    library = ctypes.CDLL(None, use_errno=True)
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        if library.syncfs(descriptor) != 0:
            raise GuestError(f"the volume could not be synced: {os.strerror(ctypes.get_errno())}")
    finally:
        os.close(descriptor)
