"""Sessions with MySQL: MariaDB's, in MySQL's words."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

from chalicelib import aws
from chalicelib.engines.mysql import SYSTEM_USERS
from guest_agent.datastores.mariadb import sql
from guest_agent.datastores.mysql import sha2
from guest_agent.datastores.mysql.layout import SOCKET
from guest_agent.errors import BadRequest


class Session(sql.Session):
    """A connection to MySQL."""

    SOCKET: ClassVar = SOCKET
    NOT_CHOSEN: ClassVar = (
        "max_execution_time = 0, sql_big_selects = 1, wait_timeout = 28800, max_sort_length = 8192"
    )
    # A role is an account that nobody can use: locked, its password expired, and without one.
    NO_ROLE: ClassVar = (
        "NOT (account_locked = 'Y' AND password_expired = 'Y'"
        " AND COALESCE(authentication_string, '') = '')"
    )
    SYSTEM_USERS: ClassVar = tuple(sorted(SYSTEM_USERS))
    TELLING: ClassVar = "performance_schema"
    POSITION: ClassVar = "gtid_executed"
    COLLATION_NAMES: ClassVar = "COLLATION_NAME"
    ROOT_PRIVILEGES: ClassVar = (
        "SELECT, INSERT, UPDATE, DELETE, CREATE, DROP, RELOAD, PROCESS, REFERENCES, INDEX, ALTER,"
        " SHOW DATABASES, CREATE TEMPORARY TABLES, LOCK TABLES, EXECUTE, CREATE VIEW, SHOW VIEW,"
        " CREATE ROUTINE, ALTER ROUTINE, CREATE USER, EVENT, TRIGGER, CREATE ROLE, DROP ROLE"
    )

    def password(self, plain: str) -> str:
        """The clause that sets a password, from its hash (caching_sha2_password)."""
        if not plain:
            raise BadRequest("a password must not be empty")
        stored = sha2.stored(plain.encode(), sha2.salt(aws.token_bytes(sha2.SALT_BYTES)))
        return f"IDENTIFIED WITH caching_sha2_password AS 0x{stored.hex()}"

    def _bounded(self, query: str, seconds: float) -> str:
        """All that is asked for in rows begins with SELECT; the hint is of the whole query."""
        hint = f"SELECT /*+ MAX_EXECUTION_TIME({round(seconds * 1000)}) */"
        return query.replace("SELECT", hint, 1)


def connect(data: Path, user: str, owner: int, until: float) -> Session:
    """A session with a MySQL; see `mariadb.sql.open_session`."""
    return sql.open_session(Session, data, user, owner, until)
