"""MySQL's server: MariaDB's, where its command lines, its log and its words are others."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import ClassVar, Final

from chalicelib.bus.contract.arguments import Flavor
from chalicelib.engines import mysql
from chalicelib.engines.parameter import Scalar
from guest_agent.datastores import processes
from guest_agent.datastores.error_log import ErrorLog
from guest_agent.datastores.gauges import Counters
from guest_agent.datastores.mariadb import configuration as shared
from guest_agent.datastores.mariadb.layout import Layout
from guest_agent.datastores.mysql import configuration, counters, sql, superuser, version, writes
from guest_agent.datastores.mysql.sql import Session
from guest_agent.datastores.os_user import agent_account
from guest_agent.datastores.server import Server

# What it tells of each error: its number, and which part of the server speaks.
_ERROR: Final = re.compile(r"(?!.*Aborting).*?\[ERROR\]\s*(?:\[MY-\d+\]\s*)?(?:\[\w+\]\s*)?")
_DAMAGE: Final = re.compile(
    r"page corruption|is corrupted|is marked as crashed|Incorrect key file|[Cc]hecksum mismatch"
    r"|is corrupt\b"
)


class MySQLServer(Server[Session]):
    """One mysqld, known by the configuration file in its command line."""

    ENGINE: ClassVar = mysql.ENGINE
    LAYOUT: ClassVar = Layout
    layout: Layout

    @cached_property
    def log(self) -> ErrorLog:
        return ErrorLog(self.layout.error_log, "starting as process", _ERROR, _DAMAGE)

    @property
    def argument(self) -> str:
        return f"--defaults-file={self.layout.config}"

    def command(self) -> list[str]:
        return [self._program, self.argument]

    @property
    def making_argument(self) -> str:
        return f"--datadir={self.layout.unfinished}"

    def making(self, flavor: Flavor) -> list[str]:
        """Its superuser comes in without a password, until the first start has run `init_file`:
        nobody is let in before."""
        capacity = self.ENGINE.template(flavor.ram)["innodb_redo_log_capacity"]
        return [
            self._program,
            "--no-defaults",
            "--initialize-insecure",
            self.making_argument,
            f"--basedir={self._base}",
            f"--tmpdir={self.layout.scratch}",
            "--innodb-flush-log-at-trx-commit=0",  # one sync at the end is as safe
            f"--innodb-redo-log-capacity={capacity}",
        ]

    def holds_data(self) -> bool:
        return (self.layout.data / "mysql.ibd").is_file()

    def require_version(self, number: str) -> None:
        version.require(self.layout, number)

    def write_configuration(self, flavor: Flavor, group: Mapping[str, Scalar]) -> bool:
        superuser.write_init_file(self.layout)
        template, address = self.ENGINE.template(flavor.ram), self.guest.bind_address
        return configuration.write(self.layout, self._base, address, template, group)

    def held(self, session: Session) -> dict[str, Scalar]:
        return configuration.held(session, self.known)

    def change(self, session: Session, values: Mapping[str, Scalar]) -> None:
        shared.change(session, values)

    def wanted(self, flavor: Flavor, group: Mapping[str, Scalar]) -> Mapping[str, int]:
        chosen = self.chosen(flavor, group)
        return {name: int(chosen[name]) for name in shared.READ_BACK}

    def running(self, session: Session) -> dict[str, int]:
        return shared.running(session)

    def version(self, session: Session) -> str:
        return shared.version(session)

    def counters(self, session: Session) -> Counters:
        return counters.read(session)

    def refuses_writes(self, session: Session) -> bool:
        return writes.refused(session)

    def refuse_writes(self, session: Session) -> None:
        writes.refuse(session)

    def take_writes(self, session: Session) -> None:
        writes.take(session)

    def connect(self, until: float) -> Session:
        return sql.connect(self.layout.data, agent_account(), self.user.uid, until)

    def secure(self, session: Session) -> list[str]:
        return superuser.secure(session)

    @property
    def _program(self) -> str:
        return processes.program("mysqld")

    @property
    def _base(self) -> Path:
        """Where its messages, character sets and plugins are: it may be installed anywhere."""
        return Path(self._program).resolve().parents[1]
