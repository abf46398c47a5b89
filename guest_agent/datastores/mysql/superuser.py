"""Accounts above all others in MySQL: `mariadb.superuser` says what they are to do and not to do.

Privileges are columns of `mysql.user`, and, where they have names of their own, rows of
`mysql.global_grants`.
"""

from __future__ import annotations

import re
from typing import Final

from guest_agent.datastores.mariadb.layout import Layout
from guest_agent.datastores.mariadb.superuser import (
    FORMER_ADMIN,
    LOCAL,
    SUPERUSER,
    disable_root,
    enable_root,
    root_enabled,
)
from guest_agent.datastores.mysql.sql import Session
from guest_agent.datastores.os_user import agent_account
from guest_agent.files import write_whole

__all__ = ["disable_root", "enable_root", "root_enabled", "secure", "write_init_file"]

WITHHELD: Final = {
    "File_priv": "FILE",
    "Super_priv": "SUPER",
    "Shutdown_priv": "SHUTDOWN",
    "Create_tablespace_priv": "CREATE TABLESPACE",
    "Repl_slave_priv": "REPLICATION SLAVE",
}
"""What a customer has not, by the columns that tell it. Of privileges with names of their own it
has none: `SYSTEM_VARIABLES_ADMIN` would let it write what outlives a restart (`SET PERSIST`)."""
_NEEDED: Final = ("SYSTEM_USER", "SYSTEM_VARIABLES_ADMIN", "CONNECTION_ADMIN")
_NAME: Final = re.compile(r"[A-Z][A-Z0-9_]{0,31}")
_LOOKED_AT: Final = 100
"""Accounts that one look puts right; the next one goes on."""


def write_init_file(layout: Layout) -> None:
    """What the server runs before it takes connections: the agent is its administrator, and nobody
    comes in as the one without a password that MySQL makes with the first data."""
    statements = _own_account(f"'{agent_account()}'@'{LOCAL}'")
    if agent_account() != SUPERUSER:
        statements.append(f"DROP USER IF EXISTS '{SUPERUSER}'@'{LOCAL}'")
    text = "".join(f"{each};\n" for each in statements)
    write_whole(layout.init_file, text.encode(), mode=0o644)


def secure(session: Session) -> list[str]:
    """Put the accounts right; sentences about what was not. Repeating it changes nothing."""
    said = []
    if not _own_account_is_whole(session):
        for statement in _own_account(session.account(agent_account(), LOCAL)):
            session.run(statement)
        said.append("the agent's account in the database had been changed, and was put right")
    for name, host in _unwanted(session):
        session.run(f"DROP USER {session.account(name, host)}")
    mighty = _too_mighty(session)
    for (name, host), privileges in mighty.items():
        session.run(f"REVOKE {', '.join(privileges)} ON *.* FROM {session.account(name, host)}")
        said.append(f"the account {name!r} had rights outside the database, and has lost them")
    return said


def _own_account(account: str) -> list[str]:
    return [
        f"CREATE USER IF NOT EXISTS {account} IDENTIFIED WITH auth_socket",
        f"ALTER USER {account} IDENTIFIED WITH auth_socket REQUIRE NONE"
        " WITH MAX_USER_CONNECTIONS 0 MAX_CONNECTIONS_PER_HOUR 0 MAX_QUERIES_PER_HOUR 0"
        " MAX_UPDATES_PER_HOUR 0 ACCOUNT UNLOCK",
        f"GRANT ALL PRIVILEGES ON *.* TO {account} WITH GRANT OPTION",
    ]


def _own_account_is_whole(session: Session) -> bool:
    """Whether this account, and no other way into it, is as `_own_account` makes it."""
    mighty = " AND ".join(f"{column} = 'Y'" for column in (*WITHHELD, "Grant_priv", "Create_priv"))
    return bool(
        session.rows(
            "SELECT 1 FROM mysql.user WHERE User = %s AND Host = %s"  # noqa: S608 - our own columns
            " AND plugin = 'auth_socket' AND COALESCE(authentication_string, '') = ''"
            " AND JSON_EXTRACT(User_attributes, '$.multi_factor_authentication') IS NULL"
            " AND account_locked = 'N' AND ssl_type = '' AND max_user_connections = 0"
            " AND max_connections = 0 AND max_questions = 0 AND max_updates = 0"
            f" AND {mighty} AND (SELECT COUNT(*) FROM mysql.global_grants AS g"
            " WHERE g.USER = %s AND g.HOST = %s AND g.PRIV IN %s) = %s",
            *(agent_account(), LOCAL, agent_account(), LOCAL, _NEEDED, len(_NEEDED)),
        )
    )


def _unwanted(session: Session) -> list[tuple[str, str]]:
    """Nobody's account, those of former agents, and those that only a local program would use."""
    rows = session.rows(
        "SELECT User, Host FROM mysql.user WHERE User IN ('', %s)"
        " OR (User IN ('mysql', %s) AND Host = %s AND User <> %s)",
        *(FORMER_ADMIN, SUPERUSER, LOCAL, agent_account()),
        most=_LOOKED_AT,
    )
    return [(str(name), str(host)) for name, host in rows]


def _too_mighty(session: Session) -> dict[tuple[str, str], list[str]]:
    """Accounts, and roles, with what they should not have; the server's own are locked, and local.

    A name in the table that is none of a privilege gives nobody anything.
    """
    system = (*session.SYSTEM_USERS, agent_account())
    columns = ", ".join(WITHHELD)
    found: dict[tuple[str, str], list[str]] = {}
    for name, host, *has in session.rows(
        f"SELECT User, Host, {columns} FROM mysql.user"  # noqa: S608 - our own columns
        f" WHERE NOT (User IN %s AND Host = %s) AND 'Y' IN ({columns})",
        *(system, LOCAL),
        most=_LOOKED_AT,
    ):
        named = zip(WITHHELD.values(), has, strict=True)
        found[str(name), str(host)] = [privilege for privilege, answer in named if answer == "Y"]
    for name, host, privilege in session.rows(
        "SELECT USER, HOST, PRIV FROM mysql.global_grants WHERE NOT (USER IN %s AND HOST = %s)",
        *(system, LOCAL),
        most=_LOOKED_AT,
    ):
        if _NAME.fullmatch(str(privilege)):
            found.setdefault((str(name), str(host)), []).append(str(privilege))
    return found
