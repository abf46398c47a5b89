"""Roles: of those who may use a database, and what becomes of one that is dropped.

Each database has a role that owns it, `coffer_db_` and the database's number. Whoever may use the
database is a member, and acts as that role in it from the start of a session: so what one user
makes all of them may use, as on an engine whose grants are on databases, and who is a member no
more has nothing left. The superuser of the customer is a member of all.
"""

from __future__ import annotations

from typing import Final

from chalicelib.engines.postgresql import ADMINISTRATOR, GROUP, SUPERUSER
from guest_agent.datastores.postgresql.sql import Session, identifier

_DROP_OWNED: Final = """DO $coffer$
DECLARE gone name := (SELECT rolname FROM pg_authid WHERE oid = {number});
DECLARE heir name := coalesce(
  (SELECT g.rolname FROM pg_authid g JOIN pg_database d ON g.rolname = '{prefix}' || d.oid
   WHERE d.datname = current_database() AND g.oid <> {number}), '{superuser}');
BEGIN
  EXECUTE format('REASSIGN OWNED BY %I TO %I', gone, heir);
  EXECUTE format('DROP OWNED BY %I', gone);
END $coffer$"""
"""By number and by catalog: in a database of another encoding a name would be another one."""
_DROP: Final = """DO $coffer$ BEGIN
  EXECUTE format('DROP ROLE %I', (SELECT rolname FROM pg_authid WHERE oid = {number}));
END $coffer$"""


def group_of(number: int) -> str:
    """The role of those who may use the database of that number."""
    return f"{GROUP}{int(number)}"


def own(session: Session, database: str) -> str:
    """Let a database belong to its role, which is made if need be, and to nobody else; the role."""
    ((number, ours, has_group),) = session.rows(
        "SELECT d.oid, d.datdba = (SELECT oid FROM pg_roles WHERE rolname = $1),"
        " EXISTS (SELECT FROM pg_roles WHERE rolname = $2 || d.oid)"
        " FROM pg_database d WHERE datname = $3",
        ADMINISTRATOR,
        GROUP,
        database,
    )
    group, name = group_of(number), identifier(database)
    with session.transaction():
        if not has_group:
            session.run(f"CREATE ROLE {group} NOLOGIN")
        session.run(f"GRANT {group} TO {SUPERUSER}")
        session.run(f"GRANT ALL ON DATABASE {name} TO {group}")
        if ours:
            session.run(f"ALTER DATABASE {name} OWNER TO {group}")
        session.run(f"REVOKE ALL ON DATABASE {name} FROM PUBLIC")
        session.run(f"ALTER DATABASE {name} ALLOW_CONNECTIONS true")
    if session.major < 15 or not ours:  # since 15 the schema is the database's owner's
        with session.within(database) as inside:
            inside.run(f"GRANT ALL ON SCHEMA public TO {group}")
    return group


def let_in(session: Session, user: str, database: str, group: str) -> None:
    """Make a user a member, who acts as the database's role in it. Part of a transaction."""
    session.run(f"GRANT {group} TO {identifier(user)}")
    session.run(
        f"ALTER ROLE {identifier(user)} IN DATABASE {identifier(database)} SET role = {group}"
    )


def put_out(session: Session, user: str, database: str, group: str) -> None:
    """End that, and the sessions that it has there."""
    with session.transaction():
        session.run(f"REVOKE {group} FROM {identifier(user)}")
        session.run(f"ALTER ROLE {identifier(user)} IN DATABASE {identifier(database)} RESET role")
        session.run(f"REVOKE ALL ON DATABASE {identifier(database)} FROM {identifier(user)}")
    end_sessions(session, user, database)


def end_sessions(session: Session, user: str, database: str | None = None) -> None:
    """End the sessions of a user, in one database or all."""
    session.rows(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
        " WHERE usename = $1 AND ($2::text IS NULL OR datname = $2)",
        user,
        database,
        most=10_000,
    )


def drop(session: Session, number: int) -> None:
    """Drop a role by its number: what it owns goes to those whose database it is in."""
    places = session.rows(
        "SELECT DISTINCT d.datname FROM pg_shdepend s JOIN pg_database d ON d.oid = s.dbid"
        " WHERE s.refclassid = 'pg_authid'::regclass AND s.refobjid = $1::oid",
        int(number),
    )
    known = {"number": int(number), "prefix": GROUP, "superuser": SUPERUSER}
    for (database,) in places:
        with session.within(database) as inside:
            inside.run(_DROP_OWNED.format(**known))
    session.run(_DROP_OWNED.format(**known))
    session.run(_DROP.format(**known))


def drop_orphans(session: Session) -> None:
    """Drop the roles of databases that are gone: a number may come again."""
    for (number,) in session.rows(
        "SELECT oid FROM pg_roles WHERE rolname ~ ('^' || $1 || '[0-9]+$')"
        " AND substr(rolname, length($1) + 1)::oid NOT IN (SELECT oid FROM pg_database)",
        GROUP,
    ):
        drop(session, number)
