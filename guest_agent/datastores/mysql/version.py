"""Which version the MySQL of this server is, and whether it may go on with the data on the volume.

MySQL goes back within a long-term series (8.4, 9.7), and nowhere else: only those are gone on with
(https://dev.mysql.com/doc/refman/8.4/en/mysql-releases.html).
"""

from __future__ import annotations

import os
from typing import Final

import msgspec

from chalicelib import engines
from guest_agent.datastores import installed
from guest_agent.datastores.mariadb.layout import Layout
from guest_agent.datastores.mariadb.version import installed_engine
from guest_agent.files import open_folder, open_plain

MANAGER: Final = "mysqld"
SERIES: Final = frozenset({(8, 4), (9, 7)})
_HISTORY: Final = "mysql_upgrade_history"
_LONGEST: Final = 65_536


class _Version(msgspec.Struct):
    version: str


class _History(msgspec.Struct):
    upgrade_history: list[_Version]


def require(layout: Layout, number: str) -> None:
    """Refuse to let the engine start; `GuestError` says why."""
    engine = installed_engine(layout.PROGRAM)
    numbers = installed.require(engine, number)
    written = _written_by(layout)
    if numbers[:2] not in SERIES or engines.numbers_of(written)[:2] != numbers[:2]:
        raise installed.strange_data(written, engine)


def _written_by(layout: Layout) -> str:
    """The version that the data were made or upgraded by last; empty when they do not say."""
    try:
        with open_folder(layout.data) as folder:
            descriptor = open_plain(folder, _HISTORY, os.O_RDONLY)
        with os.fdopen(descriptor, "rb") as stream:
            told = msgspec.json.decode(stream.read(_LONGEST), type=_History)
    except (OSError, msgspec.MsgspecError):
        return ""
    last = told.upgrade_history[-1].version if told.upgrade_history else ""
    return "".join(each for each in last[:64] if each.isprintable())
