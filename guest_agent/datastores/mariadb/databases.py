"""Databases (schemas) of the customer; those of the system are neither shown nor touched."""

from __future__ import annotations

from typing import Final

from chalicelib.bus.contract.answers import DatabasePage
from chalicelib.bus.contract.arguments import Page
from chalicelib.bus.contract.values import Database
from chalicelib.engines.mariadb import RESERVED_DATABASES
from guest_agent.answers import fitting
from guest_agent.datastores.mariadb.sql import LONGEST_NAME, Session, check_text, identifier
from guest_agent.errors import BadRequest, DatabaseAlreadyExists, DatabaseNotFound

_NAME: Final = "CONVERT(SCHEMA_NAME USING utf8mb4) COLLATE utf8mb4_bin"


def listed(session: Session, page: Page) -> DatabasePage:
    """A page of databases, ordered by the bytes of the name."""
    hidden = ", ".join(["%s"] * len(RESERVED_DATABASES))
    comparison = ">=" if page.include_marker else ">"
    rows = session.rows(  # constants are put in here, values are passed
        "SELECT SCHEMA_NAME, DEFAULT_CHARACTER_SET_NAME, DEFAULT_COLLATION_NAME"  # noqa: S608
        " FROM information_schema.SCHEMATA"
        f" WHERE SCHEMA_NAME NOT IN ({hidden}) AND (%s IS NULL OR {_NAME} {comparison} %s)"
        f" ORDER BY {_NAME}",
        *sorted(RESERVED_DATABASES),
        page.marker,
        page.marker,
        most=page.size() + 1,
    )
    shown = fitting(
        [
            Database(name, character_set, collate)
            for name, character_set, collate in rows[: page.size()]
        ]
    )
    more = len(rows) > len(shown)
    return DatabasePage(shown, shown[-1].name if more else None)


def create(session: Session, databases: list[Database], *, repeat: bool = False) -> None:
    """Create databases; `DatabaseAlreadyExists` unless they may be there (`repeat`)."""
    for place, database in enumerate(databases):
        check_name(database.name)
        _check_character_set(session, database)
        if any(database.name == other.name for other in databases[:place]):
            raise BadRequest(f"the database {database.name!r} is named twice")
        if not repeat and _exists(session, database.name):
            raise DatabaseAlreadyExists(f"there is a database {database.name!r}")
    with session.all_or_nothing() as undo:
        for database in databases:
            session.run(_create_statement(session, database, repeat=repeat))
            if not repeat:
                undo.append(f"DROP DATABASE IF EXISTS {identifier(database.name)}")


def _check_character_set(session: Session, database: Database) -> None:
    """`BadRequest` for a character set or a collation that the server does not have."""
    charset, collate = database.character_set, database.collate
    if charset and not session.rows(
        "SELECT 1 FROM information_schema.CHARACTER_SETS WHERE CHARACTER_SET_NAME = %s", charset
    ):
        raise BadRequest(f"there is no character set {charset[:LONGEST_NAME]!r}")
    if not collate:
        return
    applies = {
        str(name).lower()
        for (name,) in session.rows(
            "SELECT CHARACTER_SET_NAME"  # noqa: S608 - a constant of the session's kind
            " FROM information_schema.COLLATION_CHARACTER_SET_APPLICABILITY"
            f" WHERE %s IN ({session.COLLATION_NAMES})",
            collate,
        )
    }
    if not applies:
        raise BadRequest(f"there is no collation {collate[:LONGEST_NAME]!r}")
    if charset and charset.lower() not in applies:
        raise BadRequest(f"the collation {collate!r} is not one of the character set {charset!r}")


def _create_statement(session: Session, database: Database, *, repeat: bool) -> str:
    statement = "CREATE DATABASE " + ("IF NOT EXISTS " if repeat else "")
    statement += identifier(database.name)
    if database.character_set:
        statement += f" CHARACTER SET {session.literal(database.character_set)}"
    if database.collate:
        statement += f" COLLATE {session.literal(database.collate)}"
    return statement


def delete(session: Session, name: str) -> None:
    """Drop a database with everything in it; `DatabaseNotFound`."""
    check_name(name)
    check_exist(session, [name])
    session.run(f"DROP DATABASE {identifier(name)}")


def check_name(name: str) -> None:
    """`BadRequest` for the names that belong to the system, and for what cannot be a name."""
    if name.lower() in RESERVED_DATABASES:
        raise BadRequest(f"the database name {name!r} is reserved")
    check_text(name, LONGEST_NAME)
    if name.endswith(" "):
        raise BadRequest(f"the database name {name!r} ends with a space")


def check_exist(session: Session, names: list[str]) -> None:
    """`DatabaseNotFound` for the first name that is not a database of the customer."""
    for name in names:
        if name.lower() in RESERVED_DATABASES or not _exists(session, name):
            raise DatabaseNotFound(f"there is no database {name!r}")


def _exists(session: Session, name: str) -> bool:
    query = f"SELECT 1 FROM information_schema.SCHEMATA WHERE {_NAME} = %s"  # noqa: S608
    return bool(session.rows(query, name))
