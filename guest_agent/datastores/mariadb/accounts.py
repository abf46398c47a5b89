"""Users of the customer and their grants; accounts of the system are neither shown nor touched.

Whatever account a customer's root has made by SQL can be shown, and taken away: what is hidden is
the accounts of the system, not everybody of that name. A list is done as a whole or not at all.
"""

from __future__ import annotations

from typing import Final

from chalicelib.bus.contract.answers import UserPage, UserShown
from chalicelib.bus.contract.arguments import Page, User, UserAttributes, UserPassword
from chalicelib.bus.contract.values import ANY_HOST, MOST_DATABASES, DatabaseName
from chalicelib.engines.mariadb import BACKUP_USER, RESERVED_USERS, MariaDBRules
from guest_agent.answers import fitting
from guest_agent.datastores.mariadb import databases
from guest_agent.datastores.mariadb.sql import (
    LONGEST_NAME,
    LONGEST_USER_NAME,
    Session,
    check_text,
    from_pattern,
    identifier,
    pattern,
)
from guest_agent.datastores.mariadb.superuser import LOCAL, SUPERUSER
from guest_agent.datastores.os_user import agent_account
from guest_agent.errors import (
    BadRequest,
    DatabaseNotFound,
    GuestError,
    UserAlreadyExists,
    UserNotFound,
)

_RULES: Final = MariaDBRules(BadRequest)
"""What the API takes for a host of a user; what it would not is refused here, too."""
_FULL_NAME: Final = "CONVERT(CONCAT(User, '@', Host) USING utf8mb4) COLLATE utf8mb4_bin"


def reserved() -> frozenset[str]:
    """Names that no account may be given."""
    return RESERVED_USERS | {"", agent_account()}


def host_of(host: str | None) -> str:
    """The host part as the server stores it; any host when none was given."""
    return (host or ANY_HOST).lower()


def listed(session: Session, page: Page) -> UserPage:
    """A page of users, ordered by the bytes of name@host."""
    comparison = ">=" if page.include_marker else ">"
    rows = session.rows(  # constants are put in here, values are passed
        "SELECT User, Host FROM mysql.user"  # noqa: S608
        f" WHERE {_shown(session)} AND (%s IS NULL OR {_FULL_NAME} {comparison} %s)"
        f" ORDER BY {_FULL_NAME}",
        *_system(session),
        page.marker,
        page.marker,
        most=page.size() + 1,
    )
    accounts = [(str(name), str(host)) for name, host in rows[: page.size()]]
    granted, whole = _granted(session, accounts)
    views = [_view(name, host, granted.get((name, host), [])) for name, host in accounts[:whole]]
    shown = fitting(views)
    if accounts and not shown:
        raise _too_many(*accounts[0])
    last = "@".join(accounts[len(shown) - 1]) if len(rows) > len(shown) else None
    return UserPage(shown, last)


def shown(session: Session, name: str, host: str | None) -> UserShown:
    """One user with its databases; `UserNotFound`."""
    _check_exists(session, name, host_of(host))
    return _view(name, host_of(host), access(session, name, host))


def access(session: Session, name: str, host: str | None) -> list[str]:
    """The databases a user may use, by name; `UserNotFound`."""
    account = (name, host_of(host))
    _check_exists(session, *account)
    granted, whole = _granted(session, [account])
    names = granted.get(account, [])
    if not whole or not fitting([_view(*account, names)]):
        raise _too_many(*account)
    return names


def create(session: Session, users: list[User], *, repeat: bool = False) -> None:
    """Create users with their grants; `UserAlreadyExists` unless they may be there (`repeat`)."""
    _check_new(session, users, repeat=repeat)
    with session.all_or_nothing() as undo:
        for user in users:
            account = session.account(user.name, host_of(user.host))
            password = session.password(user.password)
            if repeat:
                session.run(f"CREATE USER IF NOT EXISTS {account} {password}")
                session.run(f"ALTER USER {account} {password}")
            else:
                session.run(f"CREATE USER {account} {password}")
                undo.append(f"DROP USER IF EXISTS {account}")
            for database in user.databases:
                session.run(_grant_statement(account, database.name))


def delete(session: Session, name: str, host: str | None) -> None:
    """Drop a user; `UserNotFound`."""
    _check_may_change(session, name, host_of(host))
    session.run(f"DROP USER {session.account(name, host_of(host))}")


def change_passwords(session: Session, users: list[UserPassword]) -> None:
    """Set passwords, after looking whether all users are there."""
    statements = []
    for user in users:
        _check_may_change(session, user.name, host_of(user.host))
        account = session.account(user.name, host_of(user.host))
        statements.append(f"ALTER USER {account} {session.password(user.password)}")
    for statement in statements:
        session.run(statement)


def update(session: Session, name: str, host: str | None, wanted: UserAttributes) -> None:
    """Rename a user, move it to another host, or set its password; grants stay with it."""
    before = (name, host_of(host))
    _check_may_change(session, *before)
    after = (wanted.name or name, host_of(wanted.host) if wanted.host else before[1])
    password = None if wanted.password is None else session.password(wanted.password)
    with session.all_or_nothing() as undo:
        if after != before:
            check_name(after[0])
            _RULES.host(wanted.host)
            if _exists(session, *after):
                raise UserAlreadyExists(f"there is a user {after[0]!r} at {after[1]!r}")
            session.run(f"RENAME USER {session.account(*before)} TO {session.account(*after)}")
            undo.append(f"RENAME USER {session.account(*after)} TO {session.account(*before)}")
        if password is not None:
            session.run(f"ALTER USER {session.account(*after)} {password}")


def grant(session: Session, name: str, host: str | None, names: list[str]) -> None:
    """Let a user do everything in databases; `UserNotFound`, `DatabaseNotFound`."""
    target = (name, host_of(host))
    _check_may_change(session, *target)
    databases.check_exist(session, names)
    account = session.account(*target)
    statements = {database: _grant_statement(account, database) for database in names}
    had = {database for database in statements if _stored(session, *target, database)}
    with session.all_or_nothing() as undo:
        for database, statement in statements.items():
            session.run(statement)
            if database not in had:
                undo.append(
                    f"REVOKE ALL PRIVILEGES ON {identifier(pattern(database))}.* FROM {account}"
                )


def revoke(session: Session, name: str, host: str | None, database: str) -> None:
    """Take a database away from a user; `DatabaseNotFound` when it has no access to it."""
    account = (name, host_of(host))
    _check_may_change(session, *account)
    stored = _stored(session, *account, database)
    if not stored:
        raise DatabaseNotFound(f"{name!r} has no access to a database {database!r}")
    for matched in stored:
        target = f"{identifier(matched)}.* FROM {session.account(*account)}"
        session.run(f"REVOKE ALL PRIVILEGES ON {target}")


def check_name(name: str) -> None:
    """`BadRequest` for what no new account may be called."""
    if name in reserved():
        raise BadRequest(f"the user name {name!r} is reserved")
    if len(name) > 1 and name[0] == name[-1] == "'":
        # It would let nobody in: who logs in as 'alice', in quotes, is alice.
        raise BadRequest("the server takes a name out of the quotes that it stands in")
    check_text(name, LONGEST_USER_NAME)


def _check_new(session: Session, users: list[User], *, repeat: bool) -> None:
    """Everything about a list of users that can be known before the first is made."""
    for place, user in enumerate(users):
        target = (user.name, host_of(user.host))
        check_name(user.name)
        _RULES.host(user.host)
        session.password(user.password)
        names = [database.name for database in user.databases]
        databases.check_exist(session, names)
        for name in names:
            _grant_statement("", name)
        if any(target == (other.name, host_of(other.host)) for other in users[:place]):
            raise BadRequest(f"the user {target[0]!r} at {target[1]!r} is named twice")
        if not repeat and _exists(session, *target):
            raise UserAlreadyExists(f"there is a user {target[0]!r} at {target[1]!r}")


def _grant_statement(account: str, database: str) -> str:
    exact = pattern(database)
    if len(exact) > LONGEST_NAME:
        raise BadRequest(
            f"access to the database {database!r} cannot be granted: with each '_', '%' and '\\' "
            f"counted twice its name is longer than {LONGEST_NAME} characters"
        )
    return f"GRANT ALL PRIVILEGES ON {identifier(exact)}.* TO {account}"


def _exists(session: Session, name: str, host: str) -> bool:
    query = f"SELECT 1 FROM mysql.user WHERE User = %s AND Host = %s AND {session.NO_ROLE}"  # noqa: S608
    return bool(session.rows(query, name, host))


def _shown(session: Session) -> str:
    """Which rows of `mysql.user` are a customer's."""
    return f"{session.NO_ROLE} AND User NOT IN ('', %s) AND NOT (User IN %s AND Host = %s)"


def _system(session: Session) -> tuple[object, ...]:
    """The values of `_shown`: root is another call's, the rest are the server's own."""
    return SUPERUSER, (*session.SYSTEM_USERS, BACKUP_USER, agent_account()), LOCAL


def _check_exists(session: Session, name: str, host: str) -> None:
    query = f"SELECT 1 FROM mysql.user WHERE {_shown(session)} AND User = %s AND Host = %s"  # noqa: S608
    if not session.rows(query, *_system(session), name, host):
        raise UserNotFound(f"there is no user {name!r} at {host!r}")


def _check_may_change(session: Session, name: str, host: str) -> None:
    try:
        _check_exists(session, name, host)
    except UserNotFound:
        if name in reserved():
            raise BadRequest(f"the user name {name!r} is reserved") from None
        raise


def _stored(session: Session, name: str, host: str, database: str) -> list[str]:
    """The patterns in the grants of an account that stand for a database."""
    rows = session.rows(
        "SELECT Db FROM mysql.db"
        " WHERE User = %s AND Host = %s AND REPLACE(Db, '\\\\', '') = %s ORDER BY Db",
        name,
        host,
        database.replace("\\", ""),
    )
    return [stored for (stored,) in rows if from_pattern(stored) == database]


def _granted(
    session: Session, accounts: list[tuple[str, str]]
) -> tuple[dict[tuple[str, str], list[str]], int]:
    """The databases of each account, by name; and of how many of the first accounts it has all.

    Some may have more than are read at once.
    """
    if not accounts:
        return {}, 0
    places = ", ".join(["(%s, %s)"] * len(accounts))
    rows = session.rows(
        f"SELECT User, Host, Db FROM mysql.db WHERE (User, Host) IN ({places})"  # noqa: S608
        f" ORDER BY {_FULL_NAME}, User, Host, Db",
        *[part for account in accounts for part in account],
        most=MOST_DATABASES + 1,
    )
    granted: dict[tuple[str, str], list[str]] = {}
    for name, host, stored in rows:
        granted.setdefault((name, host), []).append(from_pattern(stored))
    last = rows[-1][:2] if len(rows) > MOST_DATABASES else None
    whole = accounts.index(last) if last is not None else len(accounts)
    return {account: sorted(names) for account, names in granted.items()}, whole


def _too_many(name: str, host: str) -> GuestError:
    return GuestError(
        f"the user {name!r} at {host!r} may use more databases than one answer can hold"
    )


def _view(name: str, host: str, names: list[str]) -> UserShown:
    return UserShown(name, host, [DatabaseName(database) for database in names])
