"""Users of the customer, roles that may log in; those of the system are neither shown nor touched.

A list is done as a whole or not at all: roles and memberships are part of a transaction.
"""

from __future__ import annotations

from typing import Final

from chalicelib.bus.contract.answers import UserPage, UserShown
from chalicelib.bus.contract.arguments import Page, User, UserAttributes, UserPassword
from chalicelib.bus.contract.values import ANY_HOST, MOST_DATABASES, DatabaseName
from chalicelib.engines.postgresql import GROUP, RESERVED_PREFIXES, RESERVED_USERS
from guest_agent.answers import fitting
from guest_agent.datastores.postgresql import databases, roles
from guest_agent.datastores.postgresql.sql import Session, identifier, password
from guest_agent.errors import (
    BadRequest,
    DatabaseNotFound,
    GuestError,
    UserAlreadyExists,
    UserNotFound,
)

_SHOWN: Final = (
    "rolcanlogin AND rolname::text <> ALL (string_to_array($1, ','))"
    " AND NOT starts_with(rolname, 'pg_')"
)
_HIDDEN: Final = ",".join(sorted(RESERVED_USERS))


def listed(session: Session, page: Page) -> UserPage:
    """A page of users, ordered by the bytes of the name."""
    rows = session.rows(
        f"SELECT rolname FROM pg_roles WHERE {_SHOWN}"  # noqa: S608 - a constant
        ' AND ($2::text IS NULL OR rolname::text COLLATE "C" > $2'
        " OR ($3::boolean AND rolname::text = $2))"
        ' ORDER BY rolname::text COLLATE "C"',
        _HIDDEN,
        page.marker,
        page.include_marker,
        most=page.size() + 1,
    )
    names = [str(name) for (name,) in rows[: page.size()]]
    granted, whole = _granted(session, names)
    shown = fitting([_view(name, granted.get(name, [])) for name in names[:whole]])
    if names and not shown:
        raise _too_many(names[0])
    return UserPage(shown, shown[-1].name if len(rows) > len(shown) else None)


def shown(session: Session, name: str, host: str | None) -> UserShown:
    """One user with its databases; `UserNotFound`."""
    return _view(name, access(session, name, host))


def access(session: Session, name: str, host: str | None) -> list[str]:
    """The databases a user may use, by name; `UserNotFound`."""
    _number(session, name, host)
    granted, whole = _granted(session, [name])
    names = granted.get(name, [])
    if not whole or not fitting([_view(name, names)]):
        raise _too_many(name)
    return names


def create(session: Session, users: list[User], *, repeat: bool = False) -> None:
    """Create users with their grants; `UserAlreadyExists` unless they may be there (`repeat`)."""
    _check_new(session, users, repeat=repeat)
    wanted = {database.name for user in users for database in user.databases}
    groups = {name: roles.own(session, name) for name in sorted(wanted)}
    with session.transaction():
        for user in users:
            verb = "ALTER" if repeat and _exists(session, user.name) else "CREATE"
            session.run(f"{verb} ROLE {identifier(user.name)} LOGIN {password(user.password)}")
            for database in user.databases:
                roles.let_in(session, user.name, database.name, groups[database.name])


def delete(session: Session, name: str, host: str | None) -> None:
    """Drop a user and end its sessions; what it has made stays. `UserNotFound`."""
    number = _changeable(session, name, host)
    session.run(f"ALTER ROLE {identifier(name)} NOLOGIN")
    roles.end_sessions(session, name)
    roles.drop(session, number)


def change_passwords(session: Session, users: list[UserPassword]) -> None:
    """Set passwords, after looking whether all users are there."""
    for user in users:
        _changeable(session, user.name, user.host)
    with session.transaction():
        for user in users:
            session.run(f"ALTER ROLE {identifier(user.name)} {password(user.password)}")


def update(session: Session, name: str, host: str | None, wanted: UserAttributes) -> None:
    """Rename a user, or set its password; grants stay with it."""
    _changeable(session, name, host)
    _check_host(wanted.host)
    after = wanted.name or name
    with session.transaction():
        if wanted.password is not None:
            session.run(f"ALTER ROLE {identifier(name)} {password(wanted.password)}")
        if after != name:
            check_name(after)
            if _exists(session, after):
                raise UserAlreadyExists(f"there is a user {after!r}")
            session.run(f"ALTER ROLE {identifier(name)} RENAME TO {identifier(after)}")


def grant(session: Session, name: str, host: str | None, names: list[str]) -> None:
    """Let a user do everything in databases; `UserNotFound`, `DatabaseNotFound`."""
    _changeable(session, name, host)
    databases.check_exist(session, names)
    groups = {database: roles.own(session, database) for database in names}
    with session.transaction():
        for database, group in groups.items():
            roles.let_in(session, name, database, group)


def revoke(session: Session, name: str, host: str | None, database: str) -> None:
    """Take a database away from a user; `DatabaseNotFound` when it has no access to it."""
    _changeable(session, name, host)
    if database not in _granted(session, [name])[0].get(name, []):
        raise DatabaseNotFound(f"{name!r} has no access to a database {database!r}")
    ((number,),) = session.rows("SELECT oid FROM pg_database WHERE datname::text = $1", database)
    roles.put_out(session, name, database, roles.group_of(number))


def check_name(name: str) -> None:
    """`BadRequest` for what no new account may be called."""
    if name in RESERVED_USERS or name.startswith(RESERVED_PREFIXES):
        raise BadRequest(f"the user name {name!r} is reserved")
    identifier(name)


def _check_host(host: str | None) -> None:
    if host not in (None, ANY_HOST):
        raise BadRequest("the users of this database have no hosts")


def _check_new(session: Session, users: list[User], *, repeat: bool) -> None:
    """Everything about a list of users that can be known before the first is made."""
    for place, user in enumerate(users):
        check_name(user.name)
        _check_host(user.host)
        password(user.password)
        databases.check_exist(session, [database.name for database in user.databases])
        if any(user.name == other.name for other in users[:place]):
            raise BadRequest(f"the user {user.name!r} is named twice")
        if not repeat and _exists(session, user.name):
            raise UserAlreadyExists(f"there is a user {user.name!r}")


def _exists(session: Session, name: str) -> bool:
    return bool(session.rows("SELECT 1 FROM pg_roles WHERE rolname::text = $1", name))


def _number(session: Session, name: str, host: str | None) -> int:
    """The number of a user of the customer; `UserNotFound`."""
    rows = session.rows(
        f"SELECT oid FROM pg_roles WHERE {_SHOWN} AND rolname::text = $2",  # noqa: S608
        _HIDDEN,
        name,
    )
    if not rows or host not in (None, ANY_HOST):
        raise UserNotFound(f"there is no user {name!r} at {host or ANY_HOST!r}")
    return int(rows[0][0])


def _changeable(session: Session, name: str, host: str | None) -> int:
    if name in RESERVED_USERS:
        raise BadRequest(f"the user name {name!r} is reserved")
    return _number(session, name, host)


def _granted(session: Session, names: list[str]) -> tuple[dict[str, list[str]], int]:
    """The databases of each user, by name; and of how many of the first users it has all."""
    if not names:
        return {}, 0
    places = ", ".join(f"${place}" for place in range(2, len(names) + 2))
    rows = session.rows(
        "SELECT u.rolname, d.datname FROM pg_auth_members m"  # noqa: S608 - places only
        " JOIN pg_roles u ON u.oid = m.member JOIN pg_roles g ON g.oid = m.roleid"
        " JOIN pg_database d ON g.rolname::text = $1 || d.oid"
        f" WHERE u.rolname::text IN ({places})"
        ' ORDER BY u.rolname::text COLLATE "C", d.datname::text COLLATE "C"',
        GROUP,
        *names,
        most=MOST_DATABASES + 1,
    )
    granted: dict[str, list[str]] = {}
    for name, database in rows:
        granted.setdefault(str(name), []).append(str(database))
    last = str(rows[-1][0]) if len(rows) > MOST_DATABASES else None
    return granted, names.index(last) if last is not None else len(names)


def _too_many(name: str) -> GuestError:
    return GuestError(f"the user {name!r} may use more databases than one answer can hold")


def _view(name: str, names: list[str]) -> UserShown:
    return UserShown(name, ANY_HOST, [DatabaseName(database) for database in names])
