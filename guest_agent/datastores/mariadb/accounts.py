"""Users of the customer and their grants; accounts of the system are neither shown nor touched."""

from __future__ import annotations

from typing import Any, Final

from guest_agent.contract import ANY_HOST, Page, User, UserAttributes, UserPassword
from guest_agent.datastores.mariadb import databases
from guest_agent.datastores.mariadb.initialise import agent_account
from guest_agent.datastores.mariadb.sql import ADMIN, Session, from_pattern, identifier, pattern
from guest_agent.errors import BadRequest, DatabaseNotFound, UserAlreadyExists, UserNotFound

SUPERUSER: Final = "root"
LONGEST_PATTERN: Final = 64  # characters in mysql.db.Db
_FULL_NAME: Final = "CONVERT(CONCAT(User, '@', Host) USING utf8mb4) COLLATE utf8mb4_bin"


def reserved() -> frozenset[str]:
    """Names of accounts that belong to the system."""
    return frozenset({ADMIN, SUPERUSER, "mysql", "mariadb.sys", "", agent_account()})


def host_of(host: str | None) -> str:
    """The host part as the server stores it; any host when none was given."""
    return (host or ANY_HOST).lower()


def listed(session: Session, page: Page) -> dict[str, Any]:
    """`{"users": [...], "next_marker": str | None}`, ordered by the bytes of name@host."""
    hidden = sorted(reserved())
    comparison = ">=" if page.include_marker else ">"
    rows = session.rows(  # constants are put in here, values are passed
        "SELECT User, Host FROM mysql.user"  # noqa: S608
        f" WHERE is_role = 'N' AND User NOT IN ({', '.join(['%s'] * len(hidden))})"
        f" AND (%s IS NULL OR {_FULL_NAME} {comparison} %s)"
        f" ORDER BY {_FULL_NAME} LIMIT %s",
        *hidden,
        page.marker,
        page.marker,
        page.size() + 1,
    )
    accounts = [(str(name), str(host)) for name, host in rows[: page.size()]]
    granted = _granted(session, accounts)
    shown = [_view(name, host, granted.get((name, host), [])) for name, host in accounts]
    last = "@".join(accounts[-1]) if len(rows) > page.size() else None
    return {"users": shown, "next_marker": last}


def shown(session: Session, name: str, host: str | None) -> dict[str, Any]:
    """`{"name", "host", "databases"}`; `UserNotFound`."""
    _check_exists(session, name, host_of(host))
    return _view(name, host_of(host), access(session, name, host))


def access(session: Session, name: str, host: str | None) -> list[str]:
    """The databases a user may use, by name; `UserNotFound`."""
    account = (name, host_of(host))
    _check_exists(session, *account)
    return _granted(session, [account]).get(account, [])


def create(session: Session, users: list[User], *, repeat: bool = False) -> None:
    """Create users with their grants; `UserAlreadyExists` unless they may be there (`repeat`)."""
    for user in users:
        check_name(user.name)
        databases.check_exist(session, [database.name for database in user.databases])
        if not repeat and _exists(session, user.name, host_of(user.host)):
            raise UserAlreadyExists(f"there is a user {user.name!r} at {host_of(user.host)!r}")
    for user in users:
        account = session.account(user.name, host_of(user.host))
        create_user = "CREATE USER IF NOT EXISTS" if repeat else "CREATE USER"
        session.run(f"{create_user} {account} {session.password(user.password)}")
        if repeat:
            session.run(f"ALTER USER {account} {session.password(user.password)}")
        for database in user.databases:
            _grant(session, account, database.name)


def delete(session: Session, name: str, host: str | None) -> None:
    """Drop a user; `UserNotFound`."""
    check_name(name)
    _check_exists(session, name, host_of(host))
    session.run(f"DROP USER {session.account(name, host_of(host))}")


def change_passwords(session: Session, users: list[UserPassword]) -> None:
    """Set passwords, after looking whether all users are there."""
    for user in users:
        check_name(user.name)
        _check_exists(session, user.name, host_of(user.host))
    for user in users:
        account = session.account(user.name, host_of(user.host))
        session.run(f"ALTER USER {account} {session.password(user.password)}")


def update(session: Session, name: str, host: str | None, wanted: UserAttributes) -> None:
    """Rename a user, move it to another host, or set its password; grants stay with it."""
    before = (name, host_of(host))
    check_name(name)
    _check_exists(session, *before)
    after = (wanted.name or name, host_of(wanted.host) if wanted.host else before[1])
    if after != before:
        check_name(after[0])
        if _exists(session, *after):
            raise UserAlreadyExists(f"there is a user {after[0]!r} at {after[1]!r}")
        session.run(f"RENAME USER {session.account(*before)} TO {session.account(*after)}")
    if wanted.password is not None:
        session.run(f"ALTER USER {session.account(*after)} {session.password(wanted.password)}")


def grant(session: Session, name: str, host: str | None, names: list[str]) -> None:
    """Let a user do everything in databases; `UserNotFound`, `DatabaseNotFound`."""
    check_name(name)
    _check_exists(session, name, host_of(host))
    databases.check_exist(session, names)
    for database in names:
        _grant(session, session.account(name, host_of(host)), database)


def revoke(session: Session, name: str, host: str | None, database: str) -> None:
    """Take a database away from a user; `DatabaseNotFound` when it has no access to it."""
    check_name(name)
    account = (name, host_of(host))
    _check_exists(session, *account)
    stored = [
        row[0]
        for row in session.rows(
            "SELECT Db FROM mysql.db WHERE User = %s AND Host = %s ORDER BY Db", *account
        )
        if from_pattern(row[0]) == database
    ]
    if not stored:
        raise DatabaseNotFound(f"{name!r} has no access to a database {database!r}")
    for matched in stored:
        target = f"{identifier(matched)}.* FROM {session.account(*account)}"
        session.run(f"REVOKE ALL PRIVILEGES ON {target}")


def check_name(name: str) -> None:
    """`BadRequest` for accounts of the system and for what cannot be a name."""
    if name in reserved():
        raise BadRequest(f"the user name {name!r} is reserved")
    identifier(name)


def _grant(session: Session, account: str, database: str) -> None:
    exact = pattern(database)
    if len(exact) > LONGEST_PATTERN:
        raise BadRequest(
            f"access to the database {database!r} cannot be granted: with each '_', '%' and '\\' "
            f"counted twice its name is longer than {LONGEST_PATTERN} characters"
        )
    session.run(f"GRANT ALL PRIVILEGES ON {identifier(exact)}.* TO {account}")


def _exists(session: Session, name: str, host: str) -> bool:
    query = "SELECT 1 FROM mysql.user WHERE User = %s AND Host = %s AND is_role = 'N'"
    return bool(session.rows(query, name, host))


def _check_exists(session: Session, name: str, host: str) -> None:
    if name in reserved() or not _exists(session, name, host):
        raise UserNotFound(f"there is no user {name!r} at {host!r}")


def _granted(session: Session, accounts: list[tuple[str, str]]) -> dict[tuple[str, str], list[str]]:
    """The databases of each account, by name."""
    if not accounts:
        return {}
    places = ", ".join(["(%s, %s)"] * len(accounts))
    rows = session.rows(
        f"SELECT User, Host, Db FROM mysql.db WHERE (User, Host) IN ({places})",  # noqa: S608
        *[part for account in accounts for part in account],
    )
    granted: dict[tuple[str, str], list[str]] = {}
    for name, host, stored in rows:
        granted.setdefault((name, host), []).append(from_pattern(stored))
    return {account: sorted(names) for account, names in granted.items()}


def _view(name: str, host: str, names: list[str]) -> dict[str, Any]:
    return {"name": name, "host": host, "databases": [{"name": database} for database in names]}
