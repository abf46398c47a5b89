"""A new cluster, as a fresh guest makes one, and what was read of somebody else's loaded into it.

What was read is a script that its maker may have written: it runs as a role that has the rights of
one database's users for as long as that takes, and no others. So nothing is made here that a
customer could not have made, and nothing of theirs runs with more rights than a customer has.
"""

from __future__ import annotations

import os
import re
import signal
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import IO, Final

from chalicelib.engines.postgresql import ADMINISTRATOR, GROUP
from guest_agent.datastores import second_engine, tool
from guest_agent.datastores.data_directory import INITIALISE_SECONDS
from guest_agent.datastores.error_log import without_paths
from guest_agent.datastores.os_user import agent_account
from guest_agent.datastores.postgresql import alone, roles, sql, superuser
from guest_agent.datastores.postgresql.foreign import (
    IMPORT_SECONDS,
    STATEMENT_SECONDS,
    Contents,
    Default,
    Found,
    Locale,
    Member,
    Role,
)
from guest_agent.datastores.postgresql.server import PostgreSQLServer
from guest_agent.datastores.postgresql.sql import Session, identifier, literal
from guest_agent.datastores.trial import Watch
from guest_agent.errors import BadRequest, GuestError
from guest_agent.files import open_folder, open_plain, write_whole

LOADER: Final = f"{GROUP}loader"
"""No customer has a role of such a name. It is there while one database is loaded."""
_FREE: Final = {**alone.FREE, "maintenance_work_mem": "128MB"}
"""No other database is at work on the server meanwhile."""
_MAP: Final = "coffer"
_LOGINS: Final = f"""\
local all {ADMINISTRATOR} peer map={_MAP}
local all {LOADER} trust
local all all reject
"""
"""The folder of its socket is the database user's alone."""
_WHILE_LOADING: Final = {
    "jit": "off",
    "log_min_error_statement": "panic",
    "max_locks_per_transaction": "1024",  # a table may have so many partitions
    "max_prepared_transactions": "0",
    "max_wal_size": "128MB",
    "min_wal_size": "32MB",
    "password_encryption": "scram-sha-256",
    "wal_level": "minimal",
}
_KINDS: Final = {
    "r": "TABLES",
    "S": "SEQUENCES",
    "f": "FUNCTIONS",
    "T": "TYPES",
    "n": "SCHEMAS",
}
_RIGHTS: Final = (
    *("SELECT", "INSERT", "UPDATE", "DELETE", "TRUNCATE", "REFERENCES", "TRIGGER", "MAINTAIN"),
    *("USAGE", "EXECUTE", "CREATE"),
)
_FIRST_BYTES: Final = 64 * 1024
_ERROR: Final = re.compile(
    r"^pg_restore: error: (?:could not execute query: )?(?:ERROR: +)?(.*)$", re.MULTILINE
)
_STATEMENT: Final = re.compile(
    r"^Command was: ((?:CREATE|ALTER|GRANT|REVOKE|REFRESH) [^\n(;]{1,150})", re.MULTILINE
)
"""Its begin, which has names, and nothing that stands in brackets."""


class Loading:
    """A server at work on a new cluster, for the agent alone; `beside` is the agent's folder."""

    def __init__(self, server: PostgreSQLServer, data: Path, beside: Path, watch: Watch) -> None:
        self._server, self._data, self._beside, self._watch = server, data, beside, watch

    def make(self) -> None:
        """The cluster, without anything in it."""
        maker = self._server.maker
        maker.make_folder(self._data)
        maker.check_can_reach(self._data)
        # It dies with the agent: one that goes on removes what it has made when it fails.
        tool.run(self._server.making_at(self._data), maker, INITIALISE_SECONDS)
        self._server.user.take_over(self._data)

    @contextmanager
    def running(self) -> Iterator[Session]:
        """A session of its administrator, whose accounts are right."""
        logins, identities = self._beside / "new-hba", self._beside / "new-ident"
        write_whole(logins, _LOGINS.encode(), 0o644)
        named = f'{_MAP} "{agent_account()}" {ADMINISTRATOR}\n'
        write_whole(identities, named.encode(), 0o644)
        command = alone.command(self._server, self._data, logins, identities, _WHILE_LOADING)
        user = self._server.user
        with second_engine.running(command, user, self._watch, signal.SIGINT) as engine:
            engine.wait_until_ready(self._session)
            with closing(self._session()) as session:
                superuser.secure(session)
                yield session
                session.run("CHECKPOINT")  # its end is short then
            engine.require_alive("was loaded")

    def make_roles(self, session: Session, contents: Contents) -> None:
        """Those of the customer, with no rights but those that they have in databases."""
        with session.transaction():
            for role in contents.roles:
                session.run(_statement(role))
            for member in contents.members:
                session.run(_membership(session, member))

    def load(self, session: Session, found: Found, defaults: list[Default], dumped: Path) -> None:
        """Make a database of what was read of it, and let in who is let in."""
        name = identifier(found.name)
        _create(session, found.name, found.locale)
        group = roles.own(session, found.name)
        session.run(f"CREATE ROLE {LOADER} LOGIN")
        session.run(f"GRANT {group} TO {LOADER}")
        self._restore(found.name, group, dumped)
        ((number,),) = session.rows("SELECT oid FROM pg_roles WHERE rolname = $1", LOADER)
        roles.drop(session, number)
        with session.within(found.name) as inside:
            for default in defaults:
                inside.run(_by_default(group, default))
        with session.transaction():
            for right, who in (("CONNECT", found.connect), ("TEMPORARY", found.temporary)):
                if who:
                    names = ", ".join(map(identifier, who))
                    session.run(f"GRANT {right} ON DATABASE {name} TO {names}")
            for user in found.let_in:
                roles.let_in(session, user, found.name, group)

    def _restore(self, database: str, group: str, dumped: Path) -> None:
        _require_plain(dumped)
        with open_folder(self._data) as socket:
            command = [
                self._server.program("pg_restore"),
                f"--host=/proc/self/fd/{socket}",
                f"--username={LOADER}",
                "--no-password",
                f"--dbname={alone.to_database(database, _FREE)}",
                f"--role={group}",
                "--exit-on-error",
                "--no-owner",
                # Of a table that forces its policies a materialized view has what they let it have.
                "--enable-row-security",
                "--no-tablespaces",
                "--no-publications",
                "--no-subscriptions",
                "--no-security-labels",
                str(dumped),
            ]
            user, look = self._server.user, self._watch.look
            code, said = tool.ended(
                command, user, look, IMPORT_SECONDS, (socket,), _what_was_refused
            )
        if code != 0:
            raise GuestError(f"the database {database!r} of the backup cannot be had here: {said}")

    def _session(self) -> Session:
        until = time.monotonic() + IMPORT_SECONDS
        made = sql.connect(self._data, self._server.user.uid, until)
        made.allow_each(STATEMENT_SECONDS)
        return made


def _require_plain(dumped: Path) -> None:
    """Their server could put something else there, and of a pipe nothing would ever come."""
    try:
        with open_folder(dumped.parent) as folder:
            os.close(open_plain(folder, dumped.name, os.O_RDONLY))
    except OSError:
        raise GuestError("what was read of the backup is no file any more") from None


def _statement(role: Role) -> str:
    statement = f"CREATE ROLE {identifier(role.name)} {'LOGIN' if role.logs_in else 'NOLOGIN'}"
    if not role.inherits:
        statement += " NOINHERIT"
    statement += f" CONNECTION LIMIT {max(role.most, -1)}"
    if role.until is not None:
        statement += f" VALID UNTIL {literal(role.until)}"
    if role.password is not None:
        statement += f" PASSWORD {literal(role.password)}"
    return statement


def _membership(session: Session, member: Member) -> str:
    statement = f"GRANT {identifier(member.role)} TO {identifier(member.name)}"
    if session.major >= 16:
        statement += f" WITH INHERIT {bool(member.inherits)}, SET {bool(member.becomes)}"
    return statement


def _by_default(group: str, default: Default) -> str:
    kind = _KINDS.get(default.kind)
    if kind is None or default.right not in (None, *_RIGHTS):
        raise GuestError("the default privileges of the backup are none that PostgreSQL has")
    statement = f"ALTER DEFAULT PRIVILEGES FOR ROLE {group}"
    if default.schema is not None:
        statement += f" IN SCHEMA {identifier(default.schema)}"
    if default.right is None:
        return f"{statement} REVOKE ALL ON {kind} FROM PUBLIC"
    who = identifier(default.role) if default.role is not None else "PUBLIC"
    return f"{statement} GRANT {default.right} ON {kind} TO {who}"


def _create(session: Session, name: str, locale: Locale) -> None:
    """As it was, or with the order of bytes where this server has not its locale."""
    begin = f"CREATE DATABASE {identifier(name)} TEMPLATE template0 ALLOW_CONNECTIONS false"
    begin += f" ENCODING {literal(locale.encoding)}"
    if locale.icu is not None:
        begin += f" LOCALE_PROVIDER icu ICU_LOCALE {literal(locale.icu)}"
    always = "C.UTF-8" if locale.encoding == "UTF8" else "C"
    try:
        session.run(f"{begin} {_sorted_by(locale.collate, locale.ctype)}")
    except BadRequest:
        session.run(f"{begin} {_sorted_by(always, always)}")


def _sorted_by(collate: str, ctype: str) -> str:
    return f"LC_COLLATE {literal(collate)} LC_CTYPE {literal(ctype)}"


def _what_was_refused(said: IO[bytes]) -> str:
    """What the first thing was that could not be made, and why."""
    begin = os.pread(said.fileno(), _FIRST_BYTES, 0).decode(errors="replace")
    error, statement = _ERROR.search(begin), _STATEMENT.search(begin)
    if error is None:
        return tool.last_words(said)
    why = without_paths(error[1])
    return f"{why} ({without_paths(statement[1].strip())})" if statement is not None else why
