"""A backup of PostgreSQL tried out: recovered, started without a network, read by amcheck.

What was chosen for the database that it is of stays out: its own files of settings are not read,
and neither its replication nor its event triggers run.
"""

from __future__ import annotations

import contextlib
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

from chalicelib.engines.postgresql import ADMINISTRATOR
from guest_agent.datastores import second_engine, tool, trial
from guest_agent.datastores.os_user import own_user
from guest_agent.datastores.postgresql import alone, sql
from guest_agent.datastores.postgresql.server import PostgreSQLServer
from guest_agent.datastores.postgresql.sql import MAIN, Session
from guest_agent.datastores.second_engine import SecondEngine
from guest_agent.datastores.session import CALL_SECONDS
from guest_agent.datastores.trial import TRIAL_SECONDS, Watch
from guest_agent.errors import GuestError
from guest_agent.files import open_folder
from guest_agent.manager import Progress

MOST_DATABASES: Final = 100_000
_CLOSED: Final = (
    "SELECT format('ALTER DATABASE %I ALLOW_CONNECTIONS true', datname) FROM pg_database"
    " WHERE NOT datallowconn AND datconnlimit <> -2 AND datname <> 'template0'"
)
_DATABASES: Final = "SELECT datname FROM pg_database WHERE datallowconn AND datconnlimit <> -2"
_TRIGGERS: Final = (
    "SELECT format('ALTER EVENT TRIGGER %I DISABLE', evtname) FROM pg_event_trigger"
    " WHERE evtenabled <> 'D'"
)
"""Statements about event triggers fire none."""
_COMPUTED: Final = (
    "UPDATE pg_catalog.pg_index SET indisvalid = false"
    " WHERE indexprs IS NOT NULL OR indpred IS NOT NULL"
)
"""Indexes whose entries functions of the customer's tell: `amcheck` leaves out what is not valid.
To compare them with their tables would run those, which often need more than `amcheck` gives them:
its search path is empty."""
_READ: Final = ("--install-missing",)
_COMPARE: Final = ("--index=*", "--heapallindexed")
_AS_THEY_ARE: Final = {"client_encoding": "SQL_ASCII"}
"""Names of tables are told as they are: another encoding may lack a character of one."""


class PostgreSQLTrial(trial.Trial[Session]):
    def examine(self, folders: list[Path], watch: Watch, progress: Progress) -> None:
        progress("applying the backups")
        data = self.applied(folders, watch)
        (data / alone.CHOSEN).unlink(missing_ok=True)
        progress("starting an engine on them")
        user = self.server.user
        with second_engine.running(self._command(data), user, watch, signal.SIGQUIT) as engine:
            engine.wait_until_ready(lambda: self._connected(data))
            self._require_amcheck(data)
            self._let_in(data)
            progress("reading all tables and indexes")
            self._require_sound(data, engine, watch, *_READ)
            self._in_each(data, lambda inside: inside.run(_COMPUTED))
            progress("comparing tables and indexes")
            self._require_sound(data, engine, watch, *_COMPARE)

    def _require_sound(self, data: Path, engine: SecondEngine, watch: Watch, *chosen: str) -> None:
        with open_folder(data) as socket:
            command = [*self._amcheck(socket), *chosen]
            code, said = tool.ended(command, own_user(), watch.look, TRIAL_SECONDS, (socket,))
        if code != 0:
            engine.require_alive("was read")
            raise tool.ToolFailed(code, f"pg_amcheck ended with {code}: {said}")

    @property
    def _postgresql(self) -> PostgreSQLServer:
        assert isinstance(self.server, PostgreSQLServer)
        return self.server

    def _command(self, data: Path) -> list[str]:
        layout = self._postgresql.layout
        return alone.command(self._postgresql, data, layout.logins, layout.identities)

    def _connected(self, data: Path) -> Session:
        return sql.connect(data, self.server.user.uid, time.monotonic() + CALL_SECONDS)

    def _require_amcheck(self, data: Path) -> None:
        with contextlib.closing(self._connected(data)) as session:
            known = "SELECT 1 FROM pg_available_extensions WHERE name = 'amcheck'"
            if not session.rows(known):
                raise GuestError("amcheck, which reads the data, is not installed on this server")

    def _let_in(self, data: Path) -> None:
        """Each database is read, also one that lets nobody in, and none has anything run when
        `amcheck` comes into it."""
        until = time.monotonic() + TRIAL_SECONDS
        with contextlib.closing(sql.connect(data, self.server.user.uid, until)) as session:
            for (statement,) in session.rows(_CLOSED, most=MOST_DATABASES):
                session.run(str(statement))
        if self._postgresql.major < alone.WITH_EVENT_TRIGGERS_OFF:
            self._in_each(data, _without_triggers)

    def _in_each(self, data: Path, work: Callable[[Session], None]) -> None:
        until = time.monotonic() + TRIAL_SECONDS
        with contextlib.closing(sql.connect(data, self.server.user.uid, until)) as session:
            for (database,) in session.rows(_DATABASES, most=MOST_DATABASES):
                with session.within(str(database)) as inside:
                    work(inside)

    def _amcheck(self, socket: int) -> list[str]:
        free = {**alone.FREE, **_AS_THEY_ARE}
        if self._postgresql.major >= sql.WITH_TRANSACTION_TIMEOUT:
            free |= sql.SINCE_17
        return [
            self._postgresql.program("pg_amcheck"),
            f"--host=/proc/self/fd/{socket}",
            f"--username={ADMINISTRATOR}",
            "--no-password",
            "--all",
            # But for its name, what stands there holds for the connections to the others too.
            f"--maintenance-db={alone.to_database(MAIN, free)}",
        ]


def _without_triggers(inside: Session) -> None:
    for (statement,) in inside.rows(_TRIGGERS):
        inside.run(str(statement))
