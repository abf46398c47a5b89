"""PostgreSQL's server: its command lines, its log, its configuration, its roles."""

from __future__ import annotations

import contextlib
import os
import pwd
import re
import signal
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import ClassVar, Final

from chalicelib import engines
from chalicelib.bus.contract.arguments import Flavor
from chalicelib.engines import postgresql
from chalicelib.engines.parameter import Scalar
from guest_agent.datastores import installed, processes
from guest_agent.datastores.error_log import ErrorLog
from guest_agent.datastores.gauges import Counters
from guest_agent.datastores.os_user import OsUser, database_user
from guest_agent.datastores.postgresql import configuration, counters, sql, superuser, writes
from guest_agent.datastores.postgresql.layout import Layout
from guest_agent.datastores.postgresql.sql import Session
from guest_agent.datastores.server import Server
from guest_agent.errors import GuestError
from guest_agent.files import open_folder, open_plain

INSTALLED: Final = Path("/usr/lib/postgresql")
"""Where Debian's packages are, each major version in a folder of its own."""
_TOLD_VERSION: Final = re.compile(r"\(PostgreSQL\) ([0-9]\S{0,63})")
# What a customer's session has complained of is no error of the server.
_ERROR: Final = re.compile(r"(?!.*\] client backend )\S.*?(?:FATAL|PANIC|initdb: error):\s+")
# A customer's session that meets it tells of it, and so might one that makes it up.
_DAMAGE: Final = re.compile(
    r"(?:ERROR|FATAL|PANIC):\s+(?:invalid page in block|could not read block|unexpected zero page"
    r"|could not access status|missing chunk number)|WARNING:\s+page verification failed"
)


class PostgreSQLServer(Server[Session]):
    """One postmaster, known by the configuration file in its command line."""

    ENGINE: ClassVar = postgresql.ENGINE
    LAYOUT: ClassVar = Layout
    STOP_SIGNAL: ClassVar = signal.SIGINT  # "fast": sessions are ended, and a checkpoint is made
    layout: Layout

    @property
    def maker(self) -> OsUser:
        """initdb asks the system for the name of who runs it. Where several guests share a kernel,
        each has a number of its own, which only its own disk knows a name of.
        """
        user = self.user
        try:
            pwd.getpwuid(user.uid)
        except KeyError:
            return database_user(self.ENGINE.os_user, Path("/"))
        return user

    @cached_property
    def log(self) -> ErrorLog:
        return ErrorLog(self.layout.error_log, "starting PostgreSQL", _ERROR, _DAMAGE)

    @property
    def argument(self) -> str:
        return f"config_file={self.layout.config}"

    def command(self) -> list[str]:
        return [self.program("postgres"), "-c", self.argument]

    def end_remains(self) -> None:
        """Its processes outlive the one that started them by a moment, or as long as they hang."""

        def gone() -> bool:
            left = processes.at_work_in(self.layout.data, self.program("postgres"), self.user.uid)
            for pid in left:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            return not left

        if not processes.wait_until(gone, processes.KILL_SECONDS):
            raise GuestError("processes of a database that has died could not be ended")

    @property
    def making_argument(self) -> str:
        return f"--pgdata={self.layout.unfinished}"

    def making(self, flavor: Flavor) -> list[str]:
        return self.making_at(self.layout.unfinished)

    def making_at(self, folder: Path) -> list[str]:
        """The program that makes a first data directory in that folder, and ends."""
        return [
            self.program("initdb"),
            f"--pgdata={folder}",
            f"--username={postgresql.ADMINISTRATOR}",
            "--auth=reject",  # nobody reads that file: the server is given another
            "--encoding=UTF8",
            "--locale=C.UTF-8",
            "--data-checksums",
            "--no-sync",  # all of it is synced at the end
        ]

    def holds_data(self) -> bool:
        return bool(self._written_by())

    def require_version(self, number: str) -> None:
        """Within a major every minor reads what every other has written."""
        engine = self._engine()
        numbers = installed.require(engine, number)
        written = self._written_by()
        if engines.numbers_of(written)[:1] != numbers[:1]:
            raise installed.strange_data(written, engine)

    def write_configuration(self, flavor: Flavor, group: Mapping[str, Scalar]) -> bool:
        template = self.template(flavor)
        address = self.guest.bind_address
        return configuration.write(self.layout, address, self._major, template, group)

    def adopted(self, session: Session) -> None:
        if configuration.write_fixed(self.layout, self.guest.bind_address, self._major):
            configuration.reload(session)

    def held(self, session: Session) -> dict[str, Scalar]:
        return configuration.held(session, self.known)

    def change(self, session: Session, values: Mapping[str, Scalar]) -> None:
        configuration.reload(session)

    def wanted(self, flavor: Flavor, group: Mapping[str, Scalar]) -> Mapping[str, int]:
        chosen = self.chosen(flavor, group)
        return {name: int(chosen[name]) * one for name, one in configuration.READ_BACK.items()}

    def running(self, session: Session) -> dict[str, int]:
        return configuration.running(session)

    def version(self, session: Session) -> str:
        ((said,),) = session.rows("SELECT current_setting('server_version')")
        return str(said)

    def counters(self, session: Session) -> Counters:
        return counters.read(session)

    def refuses_writes(self, session: Session) -> bool:
        return writes.refused(session, self.layout)

    def refuse_writes(self, session: Session) -> None:
        self.refuse_unasked()  # the session may be gone, and its server come back by itself
        writes.refuse(session, self.layout)

    def refuse_unasked(self) -> None:
        if writes.refuse_from_now_on(self.layout):
            pid = processes.first_with(self.argument, self.user.uid)
            if pid is not None:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGHUP)

    def take_writes(self, session: Session) -> None:
        writes.take(session, self.layout)

    def connect(self, until: float) -> Session:
        return sql.connect(self.layout.data, self.user.uid, until)

    def secure(self, session: Session) -> list[str]:
        return superuser.secure(session)

    def program(self, name: str) -> str:
        """The path of one, of the major version that was ordered, or the newest where none was."""
        majors = [int(each.name) for each in INSTALLED.glob("*") if each.name.isdecimal()]
        for major in self._ordered or sorted(majors, reverse=True):
            path = INSTALLED / str(major) / "bin" / name
            if path.exists():
                return str(path)
        return processes.program(name)

    @property
    def major(self) -> int:
        """The major version of the installed server."""
        return engines.numbers_of(self._engine())[0]

    @property
    def _ordered(self) -> tuple[int, ...]:
        """The major version that was ordered, if the order says."""
        return engines.numbers_of(self.guest.agent.datastore_version)[:1]

    @property
    def _major(self) -> int:
        return next(iter(self._ordered), 0)

    def _engine(self) -> str:
        """The version of the installed server, e.g. `15.18`."""
        return installed.version([self.program("postgres"), "--version"], _TOLD_VERSION)

    def _written_by(self) -> str:
        """The major version that the data say they are of; empty when they do not."""
        try:
            with open_folder(self.layout.data) as folder:
                descriptor = open_plain(folder, "PG_VERSION", os.O_RDONLY)
            with os.fdopen(descriptor, "rb") as stream:
                said = stream.read(64).decode(errors="replace").strip()
        except OSError:
            return ""
        return said if engines.numbers_of(said) else ""
