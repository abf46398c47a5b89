"""MariaDB's server: its command lines, its log, its accounts."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import cached_property
from typing import ClassVar, Final

from chalicelib.bus.contract.arguments import Flavor
from chalicelib.engines import mariadb
from chalicelib.engines.parameter import Scalar
from guest_agent.datastores import processes
from guest_agent.datastores.error_log import ErrorLog
from guest_agent.datastores.mariadb import configuration, sql, superuser, version, writes
from guest_agent.datastores.mariadb.family import FamilyServer
from guest_agent.datastores.mariadb.log import make_ready
from guest_agent.datastores.mariadb.sql import Session
from guest_agent.datastores.os_user import agent_account

# That a server aborts is only the end of what it has complained of.
_ERROR: Final = re.compile(r"(?!.*\[ERROR\] Aborting).*?\[ERROR\]\s*")
_DAMAGE: Final = re.compile(
    r"page corruption|is corrupted|is marked as crashed|Incorrect key file|[Cc]hecksum mismatch"
    r"|failed read of file|is corrupt\b"
)


LOG: Final = "innodb_log_file_size"
SMALLEST_LOG_BYTES: Final = 4 * 1024**2
"""A prepared backup has one of some kilobytes, of which a server makes its own."""


class MariaDBServer(FamilyServer[Session]):
    ENGINE: ClassVar = mariadb.ENGINE

    @cached_property
    def log(self) -> ErrorLog:
        return ErrorLog(self.layout.error_log, "Starting MariaDB", _ERROR, _DAMAGE)

    def make_ready(self) -> None:
        make_ready(self.layout, self.user)

    def making(self, flavor: Flavor) -> list[str]:
        """Its superuser is the agent's own operating system user, by the local socket only."""
        return [
            processes.program("mariadb-install-db"),
            "--no-defaults",
            self.making_argument,
            # A starting server removes whatever temporary tables it finds in its tmpdir, those of
            # another one that is at work there too.
            f"--tmpdir={self.layout.scratch}",
            "--skip-test-db",
            "--skip-name-resolve",
            "--auth-root-authentication-method=socket",
            f"--auth-root-socket-user={agent_account()}",
            # One sync at the end is as safe as one for each statement, and three times as fast.
            "--innodb-flush-log-at-trx-commit=0",
            f"--innodb-log-file-size={self.template(flavor)[LOG]}",
        ]

    def template(self, flavor: Flavor) -> dict[str, Scalar]:
        """What is chosen, with the log as large as it is where there is no room for another.

        A server that starts, or is told to, writes a log of another size beside the old one, and
        does not start without the room for it: also where the new one is smaller.
        """
        values = super().template(flavor)
        held, room = self._log_bytes(), self.room.look()
        other = int(values[LOG])
        full = room is not None and room.left < other + room.low
        if held is not None and held != other and full:
            values[LOG] = held
        return values

    def _log_bytes(self) -> int | None:
        """How large the log of the data is that are there; None where there is none to go on with,
        as in a backup that was prepared."""
        try:
            held = (self.layout.data / "ib_logfile0").lstat().st_size
        except OSError:
            return None
        return held if held >= SMALLEST_LOG_BYTES else None

    def holds_data(self) -> bool:
        return (self.layout.data / "mysql").is_dir()

    def require_version(self, number: str) -> None:
        version.require(self.layout, number)

    def write_init_file(self) -> None:
        superuser.write_init_file(self.layout)

    def holds(self, wanted: Mapping[str, int], running: Mapping[str, int]) -> bool:
        return configuration.holds(wanted, running)

    def refuse_writes(self, session: Session) -> None:
        writes.refuse(session)

    def connect(self, until: float) -> Session:
        return sql.connect(self.layout.data, agent_account(), self.user.uid, until)

    def secure(self, session: Session) -> list[str]:
        return superuser.secure(session)
