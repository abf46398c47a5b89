"""MySQL 8.4 and later, Oracle's own server, by the name of its program: what differs from MariaDB.

The managers' name `mysql` is MariaDB's, which serves MySQL's clients; what is there stays so.
"""

from __future__ import annotations

from typing import ClassVar, Final

from chalicelib.engines import mariadb, mysql_charsets
from chalicelib.engines.engine import Engine, Part
from chalicelib.engines.mariadb import MIB, MariaDBRules
from chalicelib.engines.parameter import Scalar

CHUNK: Final = 128 * MIB
LONGEST_PASSWORD: Final = 256
"""Bytes that `caching_sha2_password` compares."""
SYSTEM_USERS: Final = frozenset({"mysql.sys", "mysql.session", "mysql.infoschema"})
RESERVED_USERS: Final = (mariadb.RESERVED_USERS - {"mariadb.sys"}) | SYSTEM_USERS


class MySQLRules(MariaDBRules):
    """MariaDB's, with MySQL's own accounts and character sets."""

    RESERVED_USERS: ClassVar = RESERVED_USERS
    NAME: ClassVar = "MySQL"
    CHARSETS: ClassVar = mysql_charsets
    HINT: ClassVar = ""

    def password(self, text: str) -> str:
        super().password(text)
        if len(text.encode()) > LONGEST_PASSWORD:
            raise self._refusal(f"A password of MySQL has at most {LONGEST_PASSWORD} bytes.")
        return text


def template(ram_mib: int) -> dict[str, Scalar]:
    """MariaDB's, with a pool of whole chunks (the server rounds up), the redo log as one figure,
    and without the instrumentation of `performance_schema`, which took 250 MiB of a small server;
    its tables of settings and counters are there all the same.
    """
    common = mariadb.template(ram_mib)
    redo = 2 * int(common.pop("innodb_log_file_size"))
    chunks = max(int(common["innodb_buffer_pool_size"]) // CHUNK, 1)
    return {
        **common,
        "collation_server": "utf8mb4_0900_ai_ci",
        "innodb_buffer_pool_size": chunks * CHUNK,
        "innodb_redo_log_capacity": max(redo, 64 * MIB),
        "performance_schema": False,
    }


ENGINE: Final = Engine(
    name="MySQL",
    tcp_ports=(3306,),
    mount_point="/var/lib/mysql",
    parts=frozenset(Part) - {Part.SERVER, Part.BACKUPS, Part.LOG},
    rules=MySQLRules,
    template=template,
    snapshots=True,
    log="innodb_redo_log_capacity",
    series=2,  # 8.4 and 9.7 are long-term releases
)
