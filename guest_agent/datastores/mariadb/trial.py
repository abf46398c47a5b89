"""A backup of MariaDB tried out: prepared, started without a network, each of its tables checked.

Nobody's statements run in it: neither events nor plugins, nor a replication; and there are no
accounts, as nobody but the agent reaches its socket.
"""

from __future__ import annotations

import contextlib
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from guest_agent.datastores import processes, second_engine, trial
from guest_agent.datastores.copies import Unsound
from guest_agent.datastores.error_log import without_paths
from guest_agent.datastores.mariadb import sql
from guest_agent.datastores.mariadb.layout import SOCKET
from guest_agent.datastores.mariadb.sql import Session, identifier
from guest_agent.datastores.os_user import OsUser, agent_account
from guest_agent.datastores.second_engine import SecondEngine
from guest_agent.datastores.session import CALL_SECONDS
from guest_agent.datastores.trial import TRIAL_SECONDS, Watch
from guest_agent.manager import Progress

_WITHOUT_FILES: Final = frozenset({"information_schema", "performance_schema", "sys"})
_TABLES: Final = frozenset({"BASE TABLE", "SYSTEM VERSIONED", "SEQUENCE"})
_MERGES: Final = (
    "SELECT TABLE_NAME FROM information_schema.TABLES WHERE ENGINE = 'MRG_MyISAM'"
    " AND TABLE_SCHEMA = {}"
)
"""Tables that hold nothing: what they name is read by itself, or was dropped below them."""
_GIVEN_UP: Final = "Tablespace has been discarded"
"""By who may alter a table: it had no data when the copy was made."""
_SOUND: Final = frozenset({"OK", "Table is already up to date"})
_SMALL: Final = (
    "--innodb-buffer-pool-size=32M",
    "--innodb-log-buffer-size=2M",
    "--key-buffer-size=4M",
    "--aria-pagecache-buffer-size=4M",
    "--max-connections=5",
    "--performance-schema=OFF",
)
_ALONE: Final = (
    "--skip-networking",
    "--skip-grant-tables",
    "--skip-slave-start",
    "--skip-log-bin",
    "--event-scheduler=DISABLED",
    "--innodb-buffer-pool-load-at-startup=OFF",
    "--innodb-buffer-pool-dump-at-shutdown=OFF",
    "--innodb-flush-log-at-trx-commit=0",
)


class MariaDBTrial(trial.Trial[Session]):
    def examine(self, folders: list[Path], watch: Watch, progress: Progress) -> None:
        progress("applying the backups")
        data = self.applied(folders, watch)
        progress("starting an engine on them")
        with second_engine.running(self._command(data), self._user, watch, signal.SIGKILL) as one:
            one.wait_until_ready(lambda: self._connected(data, CALL_SECONDS))
            session = self._connected(data, TRIAL_SECONDS)
            with contextlib.closing(session), one.asked("was read"):
                self._check(session, one, progress)

    @property
    def _user(self) -> OsUser:
        return self.server.user

    def _command(self, data: Path) -> list[str]:
        scratch = self._user.make_folder(self.server.layout.trial / "tmp")
        return [
            processes.program("mariadbd"),
            "--no-defaults",
            f"--datadir={data}",
            f"--socket={SOCKET}",
            f"--pid-file={data}/trial.pid",
            f"--tmpdir={scratch}",
            f"--secure-file-priv={scratch}",
            *_ALONE,
            *_SMALL,
        ]

    def _connected(self, data: Path, seconds: float) -> Session:
        """A session each of whose statements has so long."""
        until = time.monotonic() + seconds
        made = sql.connect(data, agent_account(), self._user.uid, until)
        made.answer_seconds = seconds
        return made

    def _check(self, session: Session, engine: SecondEngine, progress: Progress) -> None:
        tables = list(_tables(session))
        for number, (database, table) in enumerate(tables, 1):
            progress(f"checking table {number} of {len(tables)}")
            named = f"{identifier(database)}.{identifier(table)}"
            with engine.asked(f"checked the table {without_paths(named)}"):
                told = session.told(f"CHECK TABLE {named}")
            found = [(str(kind).lower(), str(text)) for *_, kind, text in told]
            if found[0][1].startswith(_GIVEN_UP):
                continue
            if found[-1][0] == "error" or (found[-1][0] == "status" and found[-1][1] not in _SOUND):
                said = without_paths(found[0][1])
                raise Unsound(f"the table {without_paths(named)} is damaged: {said}")


def _tables(session: Session) -> Iterator[tuple[str, str]]:
    for (database,) in session.told("SHOW DATABASES"):
        if str(database) not in _WITHOUT_FILES:
            merges = set(session.told(_MERGES.format(session.literal(str(database)))))
            for table, kind in session.told(f"SHOW FULL TABLES IN {identifier(str(database))}"):
                if kind in _TABLES and (table,) not in merges:
                    yield str(database), str(table)
