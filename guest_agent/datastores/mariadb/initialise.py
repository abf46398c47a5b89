"""The first data directory: made beside its place and renamed, so that it is whole or absent."""

from __future__ import annotations

import ctypes
import logging
import os
import shutil
import signal
import subprocess
from pathlib import Path
from typing import Final

from chalicelib.bus.contract.arguments import Flavor
from guest_agent.datastores import processes
from guest_agent.datastores.mariadb import configuration, error_log
from guest_agent.datastores.mariadb.layout import Layout
from guest_agent.datastores.os_user import OsUser
from guest_agent.errors import GuestError
from guest_agent.files import sync_directory

INITIALISE_SECONDS: Final = 300.0
_LOGGED: Final = 4000  # characters of what the installer said, for the operator
_log = logging.getLogger(__name__)


class Interrupted(GuestError):
    """The program that makes the data directory did not end by itself, or not well."""


def initialise(layout: Layout, user: OsUser, flavor: Flavor) -> bool:
    """Make the data directory unless it is there; true when it was made.

    The superuser of the new server is the operating system user of the agent, by the local socket
    only: no password opens it.
    """
    if layout.data.exists():
        take_over(layout, user)
        return False
    data_argument = f"--datadir={layout.unfinished}"
    processes.kill_all_with(data_argument, user.uid)
    shutil.rmtree(layout.unfinished, ignore_errors=True)
    for folder in (layout.unfinished, layout.scratch):
        user.make_folder(folder)
    user.check_can_reach(layout.unfinished)
    _run(
        [
            processes.program("mariadb-install-db"),
            "--no-defaults",
            data_argument,
            # A starting server removes whatever temporary tables it finds in its tmpdir, those of
            # another one that is at work there too.
            f"--tmpdir={layout.scratch}",
            "--skip-test-db",
            "--skip-name-resolve",
            "--auth-root-authentication-method=socket",
            f"--auth-root-socket-user={agent_account()}",
            # One sync at the end is as safe as one for each statement, and three times as fast.
            "--innodb-flush-log-at-trx-commit=0",
            f"--innodb-log-file-size={configuration.log_file_mib(flavor)}M",
        ],
        user,
    )
    _sync_file_system(layout.unfinished)
    layout.unfinished.rename(layout.data)
    sync_directory(layout.volume)
    return True


def take_over(layout: Layout, user: OsUser) -> None:
    """Give the data directory of a former server to this one's user; `GuestError` for none."""
    if not layout.data.exists():
        raise GuestError("the volume holds no MariaDB data directory, and none is made")
    if not (layout.data / "mysql").is_dir():
        raise GuestError("the volume holds something that is not a MariaDB data directory")
    user.take_over(layout.data)


def agent_account() -> str:
    """The database account that the agent's operating system user may open by the socket."""
    if os.geteuid() == 0:
        return "root"
    import pwd

    return pwd.getpwuid(os.geteuid()).pw_name


def _run(command: list[str], user: OsUser) -> None:
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
        raise Interrupted(f"the data directory was not initialised: {_cause(output)}")


def _cause(output: str) -> str:
    """What the server complained of first; that it aborts is only the end of it."""
    lines = [line.strip() for line in output.splitlines()]
    errors = [line for line in lines if "[ERROR]" in line and not line.endswith("Aborting")]
    return error_log.cleaned(errors[0]) if errors else "the database server ended before its time"


def _sync_file_system(folder: Path) -> None:
    """Make everything on the volume durable before the rename says that it is complete."""
    library = ctypes.CDLL(None, use_errno=True)
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        if library.syncfs(descriptor) != 0:
            raise GuestError(f"the volume could not be synced: {os.strerror(ctypes.get_errno())}")
    finally:
        os.close(descriptor)
