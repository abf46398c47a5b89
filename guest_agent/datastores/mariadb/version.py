"""Which version the engine of this server is, and whether it may go on with the data on the volume.

It is asked before the engine starts. Within a series MariaDB keeps the format of its data, so that
an engine of before reads what a later one has written; one of another series would change it for
good. `mariadb-upgrade` has nothing to do within a series either: it compares the two leading
numbers in the same file (https://mariadb.com/kb/en/mariadb-upgrade/).
"""

from __future__ import annotations

import os
import re
from typing import Final

from chalicelib import engines
from guest_agent.datastores import installed, processes
from guest_agent.datastores.mariadb.layout import Layout
from guest_agent.files import open_folder, open_plain

MANAGER: Final = "mariadb"
_WRITTEN_BY: Final = ("mariadb_upgrade_info", "mysql_upgrade_info")
"""Where the data say which version they are of: since 11.0, and before. `mariadb-install-db` writes
it with the first data, `mariadb-upgrade` with each change of the series."""
_LONGEST: Final = 64
_SAID: Final = re.compile(r" Ver ([0-9]\S{0,63})")


def require(layout: Layout, number: str) -> None:
    """Refuse to let the engine start; `GuestError` says why.

    It has to be of the version `number`, and the data of its series, and of none that is newer.
    """
    engine = installed_engine()
    numbers = installed.require(engine, number)
    written = _written_by(layout)
    before = engines.numbers_of(written)
    same = engines.series_of(MANAGER, before) == engines.series_of(MANAGER, numbers)
    if not same or numbers < before:
        raise installed.strange_data(written, engine)


def installed_engine(program: str = Layout.PROGRAM) -> str:
    """The version of the installed server, e.g. `10.11.18-MariaDB-0+deb12u1`."""
    command = [processes.program(program), "--no-defaults", "--version"]
    return installed.version(command, _SAID)


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
