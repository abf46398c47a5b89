"""Roles above all others: the agent's own, by the socket only, and the customer's, closed until
enabled.

The customer's may do everything inside the server and nothing outside of it: it makes databases and
roles, and is let into all, but reads no file, runs no program and changes no setting of the server.
What it should not have been able to do is looked for, and put right.
"""

from __future__ import annotations

from typing import Final

from chalicelib.engines.postgresql import ADMINISTRATOR, SUPERUSER
from guest_agent.datastores.postgresql import roles
from guest_agent.datastores.postgresql.sql import MAIN, Session, identifier, password

_OUTSIDE: Final = "'pg_execute_server_program', 'pg_read_server_files', 'pg_write_server_files'"
_HELPS: Final = ("pg_monitor", "pg_signal_backend", "pg_read_all_settings")
_LOOKED_AT: Final = 100
"""Roles that one look puts right; the next one goes on."""


def secure(session: Session) -> list[str]:
    """Put the accounts right; sentences about what was not. Repeating it changes nothing."""
    ((has_superuser, closed, private),) = session.rows(
        "SELECT EXISTS (SELECT FROM pg_roles WHERE rolname = $1),"  # noqa: S608 - constants
        f" NOT EXISTS (SELECT FROM pg_roles WHERE rolname IN ({_OUTSIDE}) AND NOT rolsuper),"
        " NOT EXISTS (SELECT FROM pg_database WHERE datname IN ('template1', 'postgres')"
        " AND has_database_privilege('public', oid, 'CONNECT'))",
        SUPERUSER,
    )
    if not has_superuser:
        _make_superuser(session)
    if not closed:
        # Before version 16 whoever makes roles may grant any that is not a superuser's, these too,
        # and with them a shell. Nobody is let into a superuser's but by a superuser.
        session.run(f"UPDATE pg_authid SET rolsuper = true WHERE rolname IN ({_OUTSIDE})")  # noqa: S608
    if not private:
        session.run(f"REVOKE ALL ON DATABASE template1, {MAIN} FROM PUBLIC")
        session.run("REVOKE ALL ON SCHEMA public FROM PUBLIC")
        session.run(f"GRANT CONNECT ON DATABASE {MAIN} TO {SUPERUSER}")
    return _take_back(session)


def root_enabled(session: Session) -> bool:
    """Whether the customer's superuser may log in."""
    query = "SELECT 1 FROM pg_roles WHERE rolname = $1 AND rolcanlogin"
    return bool(session.rows(query, SUPERUSER))


def enable_root(session: Session, plain: str) -> None:
    """Let it log in; sets the password when it may already."""
    session.run(f"ALTER ROLE {SUPERUSER} LOGIN CREATEDB CREATEROLE {password(plain)}")


def disable_root(session: Session) -> None:
    """Let it log in no more, and end its sessions; nothing happens when it may not."""
    session.run(f"ALTER ROLE {SUPERUSER} NOLOGIN PASSWORD NULL")
    roles.end_sessions(session, SUPERUSER)


def _make_superuser(session: Session) -> None:
    with session.transaction():
        session.run(f"CREATE ROLE {SUPERUSER} NOLOGIN CREATEDB CREATEROLE")
        for helps in _HELPS:
            session.run(f"GRANT {helps} TO {SUPERUSER}")


def _take_back(session: Session) -> list[str]:
    """Rights that reach outside of the database, from whoever has them and is not the agent."""
    said = []
    mighty = session.rows(
        "SELECT rolname FROM pg_roles WHERE (rolsuper OR rolreplication) AND rolname <> $1"  # noqa: S608
        f" AND rolname NOT IN ({_OUTSIDE})",
        ADMINISTRATOR,
        most=_LOOKED_AT,
    )
    for (name,) in mighty:
        session.run(f"ALTER ROLE {identifier(name)} NOSUPERUSER NOREPLICATION")
        said.append(f"the account {name!r} had rights outside the database, and has lost them")
    members = session.rows(
        "SELECT m.rolname, g.rolname FROM pg_auth_members a"  # noqa: S608 - constants
        " JOIN pg_roles m ON m.oid = a.member JOIN pg_roles g ON g.oid = a.roleid"
        f" WHERE g.rolname IN ({_OUTSIDE}, '{ADMINISTRATOR}')",
        most=_LOOKED_AT,
    )
    for name, outside in members:
        session.run(f"REVOKE {identifier(outside)} FROM {identifier(name)}")
        said.append(f"the account {name!r} had rights outside the database, and has lost them")
    return said
