"""Which version the engine of this server is, and whether it may go on with the data on the volume.

It is asked before the engine starts. Within a series MariaDB keeps the format of its data, so that
an engine of before reads what a later one has written; one of another series would change it for
good. `mariadb-upgrade` has nothing to do within a series either: it compares the two leading
numbers in the same file (https://mariadb.com/kb/en/mariadb-upgrade/).
"""

from __future__ import annotations

import os
import subprocess
from typing import Final

from chalicelib import engines
from guest_agent.datastores import processes
from guest_agent.datastores.mariadb.layout import Layout
from guest_agent.errors import GuestError
from guest_agent.files import open_folder, open_plain

VERSION_SECONDS: Final = 30.0
MANAGER: Final = "mariadb"
_WRITTEN_BY: Final = ("mariadb_upgrade_info", "mysql_upgrade_info")
"""Where the data say which version they are of: since 11.0, and before. `mariadb-install-db` writes
it with the first data, `mariadb-upgrade` with each change of the series."""
_LONGEST: Final = 64
_SAID: Final = " Ver "


def require(layout: Layout, number: str) -> None:
    """Refuse to let the engine start; `GuestError` says why.

    It has to be of the version `number`, and the data of its series, and of none that is newer.
    """
    engine = _engine()
    numbers, wanted = engines.numbers_of(engine), engines.numbers_of(number)
    if not wanted or numbers[: len(wanted)] != wanted:
        raise GuestError(
            f"the image's database is of version {engine}, and was to be of {number}; nothing was "
            "started"
        )
    written = _written_by(layout)
    before = engines.numbers_of(written)
    same = engines.series_of(MANAGER, before) == engines.series_of(MANAGER, numbers)
    if not same or numbers < before:
        raise GuestError(
            f"the data on the volume are of version {written or 'unknown'}, which a database of "
            f"version {engine} cannot go on with; nothing was started"
        )


def _engine() -> str:
    """The version of the installed server, e.g. `10.11.18-MariaDB-0+deb12u1`."""
    command = [processes.program("mariadbd"), "--no-defaults", "--version"]
    try:
        done = subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            env=processes.environment(),
            cwd="/",
            timeout=VERSION_SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise GuestError("the database did not tell its version in time") from None
    said = done.stdout.decode(errors="replace").partition(_SAID)[2].split()
    if done.returncode != 0 or not said or not engines.numbers_of(said[0]):
        raise GuestError("the database does not tell its version")
    return said[0][:_LONGEST]


def _written_by(layout: Layout) -> str:
    """The version that the data were made or upgraded by; empty when they do not say."""
    with open_folder(layout.data) as folder:
        for name in _WRITTEN_BY:
            try:
                descriptor = open_plain(folder, name, os.O_RDONLY)
            except OSError:
                continue
            with os.fdopen(descriptor, "rb") as stream:
                text = stream.read(_LONGEST).decode(errors="replace").strip()
            return "".join(each for each in text if each.isprintable())
    return ""
