"""MySQL's server: MariaDB's, where its command lines, its log and its words are others."""

from __future__ import annotations

import re
from functools import cached_property
from typing import ClassVar, Final

from chalicelib.bus.contract.arguments import Flavor
from chalicelib.engines import mysql
from guest_agent.datastores import processes
from guest_agent.datastores.error_log import ErrorLog
from guest_agent.datastores.mariadb.family import FamilyServer
from guest_agent.datastores.mysql import sql, superuser, version, writes
from guest_agent.datastores.mysql.layout import Layout
from guest_agent.datastores.mysql.sql import Session
from guest_agent.datastores.os_user import agent_account

# What it tells of each error: its number, and which part of the server speaks.
_ERROR: Final = re.compile(r"(?!.*Aborting).*?\[ERROR\]\s*(?:\[MY-\d+\]\s*)?(?:\[\w+\]\s*)?")
_DAMAGE: Final = re.compile(
    r"page corruption|is corrupted|is marked as crashed|Incorrect key file|[Cc]hecksum mismatch"
    r"|is corrupt\b"
)


class MySQLServer(FamilyServer[Session]):
    ENGINE: ClassVar = mysql.ENGINE
    LAYOUT: ClassVar = Layout
    layout: Layout

    @cached_property
    def log(self) -> ErrorLog:
        return ErrorLog(self.layout.error_log, "starting as process", _ERROR, _DAMAGE)

    def making(self, flavor: Flavor) -> list[str]:
        """Its superuser comes in without a password, until the first start has run `init_file`:
        nobody is let in before."""
        capacity = self.template(flavor)["innodb_redo_log_capacity"]
        return [
            processes.program(self.layout.PROGRAM),
            "--no-defaults",
            "--initialize-insecure",
            self.making_argument,
            f"--basedir={self.layout.base}",
            f"--tmpdir={self.layout.scratch}",
            "--innodb-flush-log-at-trx-commit=0",  # one sync at the end is as safe
            f"--innodb-redo-log-capacity={capacity}",
        ]

    def holds_data(self) -> bool:
        return (self.layout.data / "mysql.ibd").is_file()

    def require_version(self, number: str) -> None:
        version.require(self.layout, number)

    def write_init_file(self) -> None:
        superuser.write_init_file(self.layout)

    def refuse_writes(self, session: Session) -> None:
        writes.refuse(session)

    def connect(self, until: float) -> Session:
        return sql.connect(self.layout.data, agent_account(), self.user.uid, until)

    def secure(self, session: Session) -> list[str]:
        return superuser.secure(session)
