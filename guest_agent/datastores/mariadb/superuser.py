"""Accounts above all others: the agent's own, by the socket only, and root, closed until enabled.

A customer's root may do everything inside the server and nothing outside of it: it has neither
files, nor the settings of the server, nor the name of another. It can make and change accounts,
also the agent's, so what it should not have been able to do is looked for, and put right.
"""

from __future__ import annotations

from typing import Final

from chalicelib.bus.contract.values import ANY_HOST
from chalicelib.engines.mariadb import BACKUP_USER
from guest_agent.datastores.mariadb.layout import Layout
from guest_agent.datastores.mariadb.sql import Session
from guest_agent.datastores.os_user import agent_account
from guest_agent.errors import CommandFailed, GuestError
from guest_agent.files import write_whole

SUPERUSER: Final = "root"
LOCAL: Final = "localhost"
FORMER_ADMIN: Final = "os_admin"
"""The agent's account of former releases, over the network."""

WITHHELD: Final = (
    "FILE, SUPER, SHUTDOWN, CREATE TABLESPACE, SET USER, FEDERATED ADMIN, CONNECTION ADMIN,"
    " READ_ONLY ADMIN, REPLICATION SLAVE, REPLICATION SLAVE ADMIN, REPLICATION MASTER ADMIN,"
    " BINLOG ADMIN, BINLOG REPLAY, SLAVE MONITOR"
)
# SHUTDOWN, FILE, SUPER, SET USER, READ_ONLY ADMIN, and BINLOG ADMIN, who may leave changes out of
# the binary log or remove it, as bits of mysql.global_priv (MariaDB's sql/privilege.h).
_DANGEROUS: Final = 1 << 7 | 1 << 9 | 1 << 15 | 1 << 30 | 1 << 33 | 1 << 36
_WITHHELD: Final = _DANGEROUS | 1 << 19 | 1 << 28 | 1 << 31 | 1 << 32 | 0b1111 << 34 | 1 << 38
"""The bits of all of them, where a customer's root has never been."""
_ALL: Final = (1 << 39) - 1
_NO_SUCH_THREAD: Final = 1094
_DEFINED: Final = {
    "routine": "SELECT DEFINER, ROUTINE_SCHEMA, ROUTINE_NAME FROM information_schema.ROUTINES",
    "view": "SELECT DEFINER, TABLE_SCHEMA, TABLE_NAME FROM information_schema.VIEWS",
    "trigger": "SELECT DEFINER, TRIGGER_SCHEMA, TRIGGER_NAME FROM information_schema.TRIGGERS",
    "event": "SELECT definer, db, name FROM mysql.event",  # with events disabled
}
"""What runs with the rights of its definer."""
_LOOKED_AT: Final = 100
"""Accounts that one look puts right; the next one goes on."""
_MOST_LOOKS: Final = 1000
_MOST_THREADS: Final = 10_000  # the most connections of any flavor


def write_init_file(layout: Layout) -> None:
    """What the server runs before it takes connections: the agent is its administrator.

    A customer's root may have changed that, and then nobody could put it right from outside. And no
    backup is being made: the account of one belongs to the data of a restored server.
    """
    own = _own_account(f"'{agent_account()}'@'{LOCAL}'")
    left = f"DROP USER IF EXISTS '{BACKUP_USER}'@'{LOCAL}'"
    statements = "".join(f"{each};\n" for each in (*own, left))
    write_whole(layout.init_file, statements.encode(), mode=0o644)


def secure(session: Session) -> list[str]:
    """Put the accounts right; sentences about what was not. Repeating it changes nothing.

    Also right for a volume that another server has used before: the agent's accounts of that one
    go, a root that the customer enabled stays.
    """
    said = []
    if not _own_account_is_whole(session):
        for statement in _own_account(session.account(agent_account(), LOCAL)):
            session.run(statement)
        said.append("the agent's account in the database had been changed, and was put right")
    _drop_unwanted(session)
    said += [
        f"the account {name!r} had rights outside the database, and has lost them"
        for name in _withhold(session, _DANGEROUS)
    ]
    return said


def adopt(session: Session) -> None:
    """The same of data that somebody else's server has made, whatever accounts it had: each of them
    loses all that is withheld, and there is no root but the local one.

    The agent's own account is whole already (`write_init_file`). What theirs of that name has
    defined would run with all its rights, so it is refused.
    """
    _require_none_defined(session)
    for _ in range(_MOST_LOOKS):
        if not _drop_unwanted(session) and not _withhold(session, _WITHHELD):
            disable_root(session)
            return
    raise GuestError("the accounts of the backup are too many to be put right")


def _require_none_defined(session: Session) -> None:
    """Refuse data in which something is defined by an account of the agent's."""
    for kind, rows_of in _DEFINED.items():
        found = session.rows(
            f"{rows_of} WHERE LOWER(DEFINER) IN (LOWER(%s), LOWER(%s))",
            f"{agent_account()}@{LOCAL}",
            f"{BACKUP_USER}@{LOCAL}",
            most=1,
        )
        for definer, database, name in found:
            raise GuestError(
                f"the {kind} {name!r} of the database {database!r} is defined by {definer}, which "
                "is the administrator here: give it, and others like it, another definer, and "
                "make the backup anew"
            )


def _drop_unwanted(session: Session) -> bool:
    """Drop some of those accounts; whether there were any."""
    found = _unwanted(session)
    for name, host in found:
        session.run(f"DROP USER {session.account(name, host)}")
    return bool(found)


def _withhold(session: Session, bits: int) -> list[str]:
    """Take what is withheld from some of those who have one of these rights; their names."""
    found = _too_mighty(session, bits)
    for name, host, is_role in found:
        account = session.literal(name) if is_role else session.account(name, host)
        session.run(f"REVOKE {WITHHELD} ON *.* FROM {account}")
    return [name for name, *_ in found]


def root_enabled(session: Session) -> bool:
    """Whether root may log in from outside."""
    return bool(_roots(session))


def enable_root(session: Session, password: str) -> None:
    """root from any host; sets the password when it is enabled already."""
    root, identified = session.account(SUPERUSER, ANY_HOST), session.password(password)
    with session.all_or_nothing() as undo:
        if not _roots(session):
            undo.append(f"DROP USER IF EXISTS {root}")
        session.run(f"CREATE USER IF NOT EXISTS {root} {identified}")
        session.run(f"ALTER USER {root} {identified}")
        session.run(f"GRANT {session.ROOT_PRIVILEGES} ON *.* TO {root} WITH GRANT OPTION")


def disable_root(session: Session) -> None:
    """No root but the local one, and no session of one; nothing happens when there is none.

    Accounts first, so that nobody comes back while the sessions end.
    """
    while hosts := _roots(session):  # as many as there are, until the time of the session is over
        for host in hosts:
            session.run(f"DROP USER {session.account(SUPERUSER, host)}")
    for (thread,) in session.rows(
        "SELECT ID FROM information_schema.PROCESSLIST WHERE USER = %s AND HOST <> %s",
        SUPERUSER,
        LOCAL,
        most=_MOST_THREADS,
    ):
        try:
            session.run(f"KILL CONNECTION {int(thread)}")
        except CommandFailed as error:
            if f"error {_NO_SUCH_THREAD}" not in str(error):  # it has ended by itself
                raise


def _own_account(account: str) -> list[str]:
    return [
        f"CREATE USER IF NOT EXISTS {account} IDENTIFIED VIA unix_socket",
        f"ALTER USER {account} IDENTIFIED VIA unix_socket REQUIRE NONE"
        " WITH MAX_USER_CONNECTIONS 0 MAX_CONNECTIONS_PER_HOUR 0 MAX_QUERIES_PER_HOUR 0"
        " MAX_UPDATES_PER_HOUR 0 ACCOUNT UNLOCK",
        f"GRANT ALL PRIVILEGES ON *.* TO {account} WITH GRANT OPTION",
    ]


def _own_account_is_whole(session: Session) -> bool:
    """Whether this account, and no other way into it, is as `_own_account` makes it."""
    return bool(
        session.rows(
            "SELECT 1 FROM mysql.global_priv WHERE User = %s AND Host = %s"
            " AND JSON_VALUE(Priv, '$.plugin') = 'unix_socket'"
            " AND COALESCE(JSON_VALUE(Priv, '$.authentication_string'), '') = ''"
            " AND COALESCE(JSON_COMPACT(JSON_EXTRACT(Priv, '$.auth_or')), '[{}]') = '[{}]'"
            " AND COALESCE(JSON_VALUE(Priv, '$.account_locked'), '0') IN ('0', 'false')"
            " AND COALESCE(JSON_VALUE(Priv, '$.ssl_type'), 0) = 0"
            " AND COALESCE(JSON_VALUE(Priv, '$.max_user_connections'), 0) = 0"
            " AND COALESCE(JSON_VALUE(Priv, '$.max_connections'), 0) = 0"
            " AND COALESCE(JSON_VALUE(Priv, '$.max_questions'), 0) = 0"
            " AND COALESCE(JSON_VALUE(Priv, '$.max_updates'), 0) = 0"
            " AND CAST(JSON_VALUE(Priv, '$.access') AS UNSIGNED) & %s = %s",
            agent_account(),
            LOCAL,
            _ALL,
            _ALL,
        )
    )


def _unwanted(session: Session) -> list[tuple[str, str]]:
    """Nobody's account, those of former agents, and those that only a local program would use."""
    rows = session.rows(
        "SELECT User, Host FROM mysql.user WHERE is_role = 'N' AND (User IN ('', %s)"
        " OR (User IN ('mysql', %s) AND Host = %s AND User <> %s))",
        FORMER_ADMIN,
        SUPERUSER,
        LOCAL,
        agent_account(),
        most=_LOOKED_AT,
    )
    return [(str(name), str(host)) for name, host in rows]


def _too_mighty(session: Session, bits: int) -> list[tuple[str, str, bool]]:
    rows = session.rows(
        "SELECT User, Host, COALESCE(JSON_VALUE(Priv, '$.is_role'), 'false') IN ('1', 'true')"
        " FROM mysql.global_priv WHERE NOT (User = %s AND Host = %s)"
        " AND CAST(COALESCE(JSON_VALUE(Priv, '$.access'), '0') AS UNSIGNED) & %s <> 0",
        agent_account(),
        LOCAL,
        bits,
        most=_LOOKED_AT,
    )
    return [(str(name), str(host), bool(is_role)) for name, host, is_role in rows]


def _roots(session: Session) -> list[str]:
    """The hosts from which root may log in, the local one left out."""
    rows = session.rows(
        f"SELECT Host FROM mysql.user WHERE User = %s AND Host <> %s AND {session.NO_ROLE}",  # noqa: S608
        SUPERUSER,
        LOCAL,
    )
    return [str(host) for (host,) in rows]
