"""Data of a MariaDB that Trove has had, made fit to be a guest's here.

Their accounts are Trove's: none that the agent could come in by, and some with all rights and the
password of a guest that is somebody else's. So a server is started on them once that nobody but the
agent can reach, and ends again before the data get their place. No event and no replication of
theirs runs in it.
"""

from __future__ import annotations

import os
import re
import subprocess
from contextlib import suppress
from pathlib import Path
from typing import Final

from chalicelib import engines
from guest_agent.datastores import processes, tool
from guest_agent.datastores.mariadb import superuser, version
from guest_agent.datastores.mariadb.layout import SOCKET
from guest_agent.datastores.mariadb.replay import connected
from guest_agent.datastores.mariadb.server import MariaDBServer
from guest_agent.datastores.service import STOP_SECONDS
from guest_agent.errors import GuestError
from guest_agent.files import open_folder, open_plain

ADOPT_SECONDS: Final = 600.0
INFO: Final = ("mariadb_backup_info", "xtrabackup_info")
CHECKPOINTS: Final = ("mariadb_backup_checkpoints", "xtrabackup_checkpoints")
MOST_BYTES: Final = 64 * 1024
_WRITTEN_BY: Final = re.compile(r"^server_version = (\S{1,64})$", re.MULTILINE)
_FULL: Final = re.compile(r"^backup_type = full-backuped$", re.MULTILINE)
_OWN: Final = "MariaDB"
_SETTINGS: Final = (
    "skip-networking",
    "skip-slave-start",
    "skip-log-bin",
    "event-scheduler=DISABLED",
    "innodb-buffer-pool-size=32M",
    "performance-schema=OFF",
)


def require_own(copy: Path) -> None:
    """Refuse a copy that this server could not go on with, by what its tool has noted in it.

    mariadb-backup prepares what one of its own series has made, and a server of the series reads
    what an older one has written.
    """
    written, engine = _noted(copy, INFO, _WRITTEN_BY), version.installed_engine()
    if written is None or _OWN not in written[1]:
        raise GuestError(
            "the backup is no MariaDB's"
            + (f": it is of version {written[1]}" if written is not None else "")
        )
    before, numbers = engines.numbers_of(written[1]), engines.numbers_of(engine)
    series = [engines.series_of(version.MANAGER, each) for each in (before, numbers)]
    if series[0] != series[1] or numbers < before:
        raise GuestError(
            f"the backup is of MariaDB {written[1]}, which MariaDB {engine} does not go on with: "
            "begin with a version of the same series that is not older"
        )
    if _noted(copy, CHECKPOINTS, _FULL) is None:
        raise GuestError("the backup is an increment of another one, and not whole")


def adopt(server: MariaDBServer, data: Path) -> None:
    """Put the accounts of applied data right, and end."""
    user, nothing = server.user, subprocess.DEVNULL
    processes.kill_all_with(f"--datadir={data}", user.uid)
    user.make_folder(server.layout.scratch)
    superuser.write_init_file(server.layout)
    with tool.running(_command(server, data), user, stdin=nothing, stdout=nothing) as run:
        session = connected(server, data, run, ADOPT_SECONDS)
        if session is not None:
            superuser.adopt(session)
            session.close()
            run.terminate()
            run.wait(STOP_SECONDS)
    if session is None:  # with a bad code, `running` has told why
        raise GuestError("the database ended before the accounts of the backup were put right")


def _command(server: MariaDBServer, data: Path) -> list[str]:
    return [
        processes.program("mariadbd"),
        "--no-defaults",
        f"--datadir={data}",
        f"--socket={SOCKET}",  # inside of it, which is the database user's alone
        f"--tmpdir={server.layout.scratch}",
        f"--secure-file-priv={server.layout.scratch}",  # a view of theirs is read with all rights
        f"--init-file={server.layout.init_file}",
        *(f"--{setting}" for setting in _SETTINGS),
    ]


def _noted(copy: Path, names: tuple[str, ...], wanted: re.Pattern[str]) -> re.Match[str] | None:
    """What the tool has noted in its copy, in the first of the files that is there."""
    with open_folder(copy) as folder:
        for name in names:
            with suppress(OSError):
                descriptor = open_plain(folder, name, os.O_RDONLY)
                with os.fdopen(descriptor, "rb") as stream:
                    return wanted.search(stream.read(MOST_BYTES).decode(errors="replace"))
    return None
