"""Data of a PostgreSQL that Trove has had: read, and loaded into a cluster of a guest's own.

MariaDB's are adopted as they lie, as its accounts are rows. Here the maker of the data is above all
that is in them: who owns them, what their functions run as, which library they call. None of that
could be found and put right in place, so that nothing of theirs is kept but what a customer could
have written himself.

    restored/<backup>     theirs: one server reads it, and it goes
             dumps        a file for each database
             new          ours: another server loads them
"""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Final

from chalicelib import aws
from guest_agent.datastores import guard, processes
from guest_agent.datastores.postgresql.foreign import Contents, Default, Foreign
from guest_agent.datastores.postgresql.loading import Loading
from guest_agent.datastores.postgresql.server import PostgreSQLServer
from guest_agent.datastores.postgresql.wal import FOLDER
from guest_agent.datastores.trial import Watch
from guest_agent.errors import GuestError
from guest_agent.manager import Progress

NEW_BYTES: Final = 128 * 1024**2
"""What a cluster needs that has nothing in it, with the log that is written while it is loaded."""


def adopt(server: PostgreSQLServer, data: Path, progress: Progress) -> Path:
    """A new cluster with what was in `data`, which is gone then."""
    beside, watch = server.layout.restored, RoomKept(server)
    _require_room(server, data)
    dumps, new = beside / "dumps", beside / "new"
    for left in (dumps, new):
        shutil.rmtree(left, ignore_errors=True)
    server.user.make_folder(dumps)
    with processes.none_left(server.user):
        contents, defaults = _read(Foreign(server, data, beside, watch), dumps, progress)
    shutil.rmtree(data)  # what is loaded needs its room
    loading = Loading(server, new, beside, watch)
    loading.make()
    with loading.running() as session:
        loading.make_roles(session, contents)
        for number, found in enumerate(contents.databases):
            progress(f"loading database {number + 1} of {len(contents.databases)}")
            loading.load(session, found, defaults[number], dumps / str(number))
            (dumps / str(number)).unlink()
    return new


class RoomKept(Watch):
    """Nothing goes on when the volume is full."""

    def __init__(self, server: PostgreSQLServer) -> None:
        super().__init__(server, aws.event())

    def look(self) -> None:
        if guard.is_full(self._room):
            raise GuestError(
                "what is read of the backup, and what is made of it, has no room on the volume: "
                "begin with a larger one"
            )


def _read(
    foreign: Foreign, dumps: Path, progress: Progress
) -> tuple[Contents, list[list[Default]]]:
    progress("starting a server on the backup")
    defaults = []
    with foreign.running():
        contents = foreign.contents()
        for number, found in enumerate(contents.databases):
            progress(f"reading database {number + 1} of {len(contents.databases)}")
            defaults.append(foreign.make_ready(found.name, contents.roles))
            foreign.dump(found.name, dumps / str(number))
    return contents, defaults


def _require_room(server: PostgreSQLServer, data: Path) -> None:
    """What is read lies beside the data, and what is made of it in their place."""
    held = sum(each.lstat().st_size for each in data.rglob("*") if FOLDER not in each.parts)
    room, needed = server.room.look(), held + NEW_BYTES
    if room is not None and room.left - needed < room.low:
        raise GuestError(
            f"{guard.FULL}: beside the {held >> 20} MiB of the backup {needed >> 20} are needed to "
            f"read it, and {max(room.left - room.low, 0) >> 20} are free: begin with a larger one"
        )
