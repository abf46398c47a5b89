"""Databases of the customer; those of the system are neither shown nor touched."""

from __future__ import annotations

from chalicelib.bus.contract.answers import DatabasePage
from chalicelib.bus.contract.arguments import Page
from chalicelib.bus.contract.values import Database
from chalicelib.engines.postgresql import LONGEST_NAME, RESERVED_DATABASES
from guest_agent.answers import fitting
from guest_agent.datastores.postgresql import roles
from guest_agent.datastores.postgresql.sql import Session, identifier, literal
from guest_agent.errors import BadRequest, DatabaseAlreadyExists, DatabaseNotFound


def listed(session: Session, page: Page) -> DatabasePage:
    """A page of databases, ordered by the bytes of the name."""
    rows = session.rows(
        "SELECT datname, pg_encoding_to_char(encoding), datcollate FROM pg_database"
        " WHERE datname::text <> ALL (string_to_array($1, ','))"
        ' AND ($2::text IS NULL OR datname::text COLLATE "C" > $2'
        " OR ($3::boolean AND datname::text = $2))"
        ' ORDER BY datname::text COLLATE "C"',
        ",".join(sorted(RESERVED_DATABASES)),
        page.marker,
        page.include_marker,
        most=page.size() + 1,
    )
    shown = fitting([Database(*map(str, row)) for row in rows[: page.size()]])
    more = len(rows) > len(shown)
    return DatabasePage(shown, shown[-1].name if more else None)


def create(session: Session, databases: list[Database], *, repeat: bool = False) -> None:
    """Create databases; `DatabaseAlreadyExists` unless they may be there (`repeat`)."""
    there: set[str] = set()
    for place, database in enumerate(databases):
        check_name(database.name)
        _check_encoding(session, database.character_set)
        if any(database.name == other.name for other in databases[:place]):
            raise BadRequest(f"the database {database.name!r} is named twice")
        if _exists(session, database.name):
            there.add(database.name)
    if there and not repeat:
        raise DatabaseAlreadyExists(f"there is a database {min(there)!r}")
    roles.drop_orphans(session)
    with session.all_or_nothing() as undo:
        for database in databases:
            if database.name not in there:
                session.run(_create_statement(database))
                undo.append(f"DROP DATABASE IF EXISTS {identifier(database.name)} WITH (FORCE)")
            roles.own(session, database.name)


def _check_encoding(session: Session, name: str | None) -> None:
    if name and not session.rows("SELECT 1 WHERE pg_char_to_encoding($1) >= 0", name):
        raise BadRequest(f"there is no encoding {name[:LONGEST_NAME]!r}")


def _create_statement(database: Database) -> str:
    """From the template that nobody can change; nobody gets in before it is its role's."""
    statement = f"CREATE DATABASE {identifier(database.name)} TEMPLATE template0"
    statement += " ALLOW_CONNECTIONS false"
    if database.character_set:
        statement += f" ENCODING {literal(database.character_set)}"
    locale = database.collate or ("C" if database.character_set not in (None, "UTF8") else None)
    if locale:
        statement += f" LC_COLLATE {literal(locale)} LC_CTYPE {literal(locale)}"
    return statement


def delete(session: Session, name: str) -> None:
    """Drop a database with everything in it, whoever is in it; `DatabaseNotFound`."""
    check_name(name)
    check_exist(session, [name])
    # Its owner may have made it a template, which is never dropped.
    session.run(f"ALTER DATABASE {identifier(name)} IS_TEMPLATE false")
    session.run(f"DROP DATABASE {identifier(name)} WITH (FORCE)")
    roles.drop_orphans(session)


def check_name(name: str) -> None:
    """`BadRequest` for the names that belong to the system, and for what cannot be a name."""
    if name in RESERVED_DATABASES:
        raise BadRequest(f"the database name {name!r} is reserved")
    identifier(name)


def check_exist(session: Session, names: list[str]) -> None:
    """`DatabaseNotFound` for the first name that is not a database of the customer."""
    for name in names:
        if name in RESERVED_DATABASES or not _exists(session, name):
            raise DatabaseNotFound(f"there is no database {name!r}")


def _exists(session: Session, name: str) -> bool:
    return bool(session.rows("SELECT 1 FROM pg_database WHERE datname::text = $1", name))
