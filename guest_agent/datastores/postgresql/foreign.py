"""Data of a PostgreSQL that somebody else has made: looked at, started once, and read.

Its maker may have put anything into them, functions of C and tables of the system included, so
that a server on them runs what its maker likes. It has no network, ends before a server of ours
begins, and nothing of what it says is believed: names and passwords are taken by their patterns,
and all the rest is a script that is run without rights (`loading`).
"""

from __future__ import annotations

import os
import re
import signal
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import Final, NamedTuple

from chalicelib.engines.postgresql import (
    ENGINE,
    RESERVED_DATABASES,
    RESERVED_PREFIXES,
    RESERVED_USERS,
)
from guest_agent.datastores import second_engine, tool
from guest_agent.datastores.error_log import without_paths
from guest_agent.datastores.postgresql import alone, sql
from guest_agent.datastores.postgresql.server import PostgreSQLServer
from guest_agent.datastores.postgresql.sql import MAIN, Session, identifier, literal
from guest_agent.datastores.second_engine import SecondEngine
from guest_agent.datastores.trial import Watch
from guest_agent.errors import GuestError, Unavailable
from guest_agent.files import open_folder, open_plain, own_folder, write_whole

SUPERUSER: Final = "postgres"
"""Of theirs: initdb's, and Trove's root."""
IMPORT_SECONDS: Final = 12 * 3600.0
"""To read, or to load; the operation that asks ends sooner."""
STATEMENT_SECONDS: Final = 600.0
LOCK_MS: Final = 60_000
MOST_ROLES: Final = 10_000
MOST_DATABASES: Final = 1000
MOST_PREPARED: Final = 10_000
MOST_DEFAULTS: Final = 10_000
FIRST_OWN: Final = 16384
"""Numbers of objects from there on are of those that somebody has made (FirstNormalObjectId)."""
_LABEL: Final = "backup_label"
_FOLLOWS: Final = ("recovery.signal", "standby.signal")
_TABLESPACES: Final = "pg_tblspc"
_LOGINS: Final = f"local all {SUPERUSER} trust\nlocal all all reject\n"
"""The folder of its socket is the database user's alone."""
_ANY_LOCALE: Final = Path("/usr/lib/locale/C.utf8")
_STRANGE_LOCALE: Final = re.compile(
    r"initialized with LC_(?:COLLATE|CTYPE) \"([A-Za-z0-9_@-][A-Za-z0-9_.@-]{0,63})\","
)
_ANY: Final = "UPDATE pg_database SET datcollate = 'C', datctype = 'C' WHERE datname = {name}"
"""Nobody is kept out by a locale that is not here: in what order rows are nobody asks who reads
all."""
_PASSWORD: Final = re.compile(
    r"md5[0-9a-f]{32}"
    r"|SCRAM-SHA-256\$[1-9][0-9]{0,6}:[A-Za-z0-9+/]{4,88}={0,2}"
    r"\$[A-Za-z0-9+/]{43}=:[A-Za-z0-9+/]{43}="
)
_ROLES: Final = (
    "SELECT oid::bigint, rolname::text, rolcanlogin, rolconnlimit, rolvaliduntil::text,"  # noqa: S608
    " rolpassword, rolinherit, rolsuper OR (rolreplication AND rolname = 'replicator')"
    f" FROM pg_authid WHERE oid >= {FIRST_OWN} ORDER BY oid"
)
"""`replicator` is Trove's own."""
_MEMBERS: Final = (
    "SELECT g.rolname::text, m.rolname::text, {options} FROM pg_auth_members a"
    " JOIN pg_authid g ON g.oid = a.roleid JOIN pg_authid m ON m.oid = a.member"
    " WHERE g.oid = ANY (string_to_array($1, ',')::oid[])"
    " AND m.oid = ANY (string_to_array($1, ',')::oid[]) GROUP BY 1, 2 ORDER BY 1, 2"
)
_OPTIONS: Final = "bool_or(a.inherit_option), bool_or(a.set_option)"
"""Of each membership, since 16: who has made a role has it without either."""
_DATABASES: Final = (
    "SELECT oid::bigint, datname::text, pg_encoding_to_char(encoding)::text, datcollate::text,"
    " datctype::text, {icu} FROM pg_database WHERE datconnlimit <> -2 ORDER BY datname"
)
"""-2 is what a DROP that was cut short has left of one."""
_ALLOWED: Final = (
    "WITH owners AS (SELECT datdba AS oid FROM pg_database WHERE oid = $2::oid"
    " UNION SELECT refobjid FROM pg_shdepend WHERE dbid = $2::oid AND deptype = 'o'"
    " AND refclassid = 'pg_authid'::regclass)"
    " SELECT r.rolname::text, has_database_privilege(r.oid, $2::oid, 'CREATE')"
    " OR EXISTS (SELECT FROM owners o WHERE pg_has_role(r.oid, o.oid, 'USAGE')),"
    " has_database_privilege(r.oid, $2::oid, 'CONNECT'),"
    " has_database_privilege(r.oid, $2::oid, 'TEMPORARY')"
    " FROM pg_authid r WHERE r.oid = ANY (string_to_array($1, ',')::oid[]) ORDER BY 1"
)
_OF_CUSTOMER: Final = (
    "o.oid >= {first} AND n.nspname <> 'information_schema' AND n.nspname !~ '^pg_'"
    " AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.classid = '{catalog}'::regclass"
    " AND d.objid = o.oid AND d.deptype = 'e')"
)
_RELATIONS: Final = _OF_CUSTOMER.format(first=FIRST_OWN, catalog="pg_class")
_FUNCTIONS: Final = _OF_CUSTOMER.format(first=FIRST_OWN, catalog="pg_proc")
_TYPES: Final = _OF_CUSTOMER.format(first=FIRST_OWN, catalog="pg_type")
_IN_MAIN: Final = (
    "SELECT format('%I.%I', n.nspname, o.relname) FROM pg_class o"  # noqa: S608 - constants
    " JOIN pg_namespace n ON n.oid = o.relnamespace"
    f" WHERE o.relkind IN ('r', 'p', 'm', 'f', 'v', 'S') AND {_RELATIONS}"
    " UNION ALL SELECT format('the function %I.%I', n.nspname, o.proname) FROM pg_proc o"
    f" JOIN pg_namespace n ON n.oid = o.pronamespace WHERE {_FUNCTIONS}"
    " UNION ALL SELECT format('the type %I.%I', n.nspname, o.typname) FROM pg_type o"
    " JOIN pg_namespace n ON n.oid = o.typnamespace"
    f" WHERE o.typtype IN ('d', 'e', 'r') AND {_TYPES}"
    " UNION ALL SELECT format('the large object %s', oid) FROM pg_largeobject_metadata ORDER BY 1"
)
_PREPARED: Final = "SELECT gid FROM pg_prepared_xacts WHERE database = current_database()"
_OWNED: Final = {
    "pg_class": ("relacl", "o.relowner", "CASE o.relkind WHEN 'S' THEN 's' ELSE 'r' END"),
    "pg_proc": ("proacl", "o.proowner", "'f'"),
    "pg_type": ("typacl", "o.typowner", "'T'"),
    "pg_namespace": ("nspacl", "o.nspowner", "'n'"),
    "pg_language": ("lanacl", "o.lanowner", "'l'"),
    "pg_foreign_data_wrapper": ("fdwacl", "o.fdwowner", "'F'"),
    "pg_foreign_server": ("srvacl", "o.srvowner", "'S'"),
    "pg_largeobject_metadata": ("lomacl", "o.lomowner", "'L'"),
}
"""Where rights are kept, whose what they are of is, and how acldefault() calls its kind."""
_RIGHTS: Final = """UPDATE {catalog} o SET {column} = CASE
 WHEN {number} < {first} AND {number} <> {public} OR EXISTS (SELECT FROM pg_depend d
   WHERE d.classid = '{of}'::regclass AND d.objid = {number} AND d.deptype = 'e')
 THEN (SELECT i.initprivs FROM pg_init_privs i WHERE i.classoid = '{of}'::regclass
   AND i.objoid = {number} AND i.objsubid = {part})
 ELSE ARRAY(SELECT i FROM unnest(acldefault(({kind})::"char", {owner})) i
   WHERE EXISTS (SELECT FROM aclexplode(ARRAY[i]) a WHERE a.grantee = {owner}))
 || ARRAY(SELECT makeaclitem(a.grantee, {owner}, a.privilege_type, a.is_grantable)
   FROM aclexplode(o.{column}) a WHERE a.grantee <> {owner}
   AND (a.grantee = 0 OR a.grantee = ANY (string_to_array({kept}, ',')::oid[]))) END
 WHERE o.{column} IS NOT NULL"""
"""Rights that others than the owner have given become the owner's, as who loads them is, and the
owner has all; those of roles that do not come along go, as do those on what PostgreSQL and
extensions have brought."""


_PUBLIC: Final = "coalesce(to_regnamespace('public')::oid, 0)"
"""A customer may have dropped it."""
_STAYING: Final = (
    "DELETE FROM pg_policy WHERE NOT polroles && (0::oid || string_to_array({kept}, ',')::oid[])",
    "UPDATE pg_policy SET polroles = ARRAY(SELECT r FROM unnest(polroles) r"
    " WHERE r = 0 OR r = ANY (string_to_array({kept}, ',')::oid[]))",
    "DELETE FROM pg_description d USING pg_extension e WHERE d.objoid = e.oid"
    " AND d.classoid = 'pg_extension'::regclass AND e.extname = 'plpgsql'",
)
"""Policies of those who do not come along, and the comment on a language that somebody has made
anew, which is the agent's here."""
_DEFAULTS: Final = """SELECT n.nspname::text, d.defaclobjtype::text, a.privilege_type::text,
  r.rolname::text FROM pg_default_acl d LEFT JOIN pg_namespace n ON n.oid = d.defaclnamespace
 CROSS JOIN LATERAL aclexplode(d.defaclacl) a LEFT JOIN pg_authid r ON r.oid = a.grantee
 WHERE a.grantee = ANY (string_to_array({kept}, ',')::oid[]) AND a.grantee <> d.defaclrole
  OR a.grantee = 0
 UNION SELECT NULL, d.defaclobjtype::text, NULL, NULL FROM pg_default_acl d
 WHERE d.defaclnamespace = 0 AND d.defaclobjtype IN ('f', 'T')
  AND NOT EXISTS (SELECT FROM aclexplode(d.defaclacl) a WHERE a.grantee = 0)"""
"""Of all roles alike: what any of them makes here belongs to the database's."""


class Role(NamedTuple):
    """Somebody of the customer's."""

    number: int
    name: str
    logs_in: bool
    most: int
    until: str | None
    password: str | None
    inherits: bool


class Member(NamedTuple):
    """Who has a role: with its rights from the start, and able to become it."""

    role: str
    name: str
    inherits: bool
    becomes: bool


class Locale(NamedTuple):
    """How a database sorts, and what its letters are; `icu` where that library says it."""

    encoding: str
    collate: str
    ctype: str
    icu: str | None


class Found(NamedTuple):
    """A database, and who may make things in it, or only come in and make temporary ones."""

    name: str
    locale: Locale
    let_in: list[str]
    connect: list[str]
    temporary: list[str]


class Default(NamedTuple):
    """A right that a role, or everybody, gets on what is made later, in one schema or all; without
    a right: what everybody would get is taken away."""

    schema: str | None
    kind: str
    right: str | None
    role: str | None


class Contents(NamedTuple):
    """What is brought along."""

    roles: list[Role]
    members: list[Member]
    databases: list[Found]


def require_own(server: PostgreSQLServer, copy: Path) -> None:
    """Refuse a copy that a server of this major could not read, by the files that are in it."""
    with open_folder(copy) as folder:
        written = _text(folder, "PG_VERSION")
        labelled = _text(folder, _LABEL)
        follows = [name for name in _FOLLOWS if _text(folder, name) is not None]
        moved = _text(folder, "tablespace_map")
    if written is None or not re.fullmatch(r"[0-9]{1,2}", written):
        raise GuestError("the backup is no PostgreSQL's")
    if int(written) != server.major:
        raise GuestError(
            f"the backup is of PostgreSQL {written}, which PostgreSQL {server.major} does not "
            "read: begin with a version of the same major"
        )
    if labelled is None:
        raise GuestError("the backup is not whole: its backup_label is missing")
    if follows:
        raise GuestError("the backup is of a server that follows another one: make one of that")
    links = copy / _TABLESPACES
    if moved or (links.is_dir() and any(links.iterdir())):
        raise GuestError(
            "the backup has tablespaces, which are not taken in: move what is in them to pg_default"
        )


class Foreign:
    """A server at work on such data, for the agent alone; `beside` is the agent's own folder."""

    def __init__(self, server: PostgreSQLServer, data: Path, beside: Path, watch: Watch) -> None:
        self._server, self._data, self._beside, self._watch = server, data, beside, watch
        self._locales = beside / "locales"

    @contextmanager
    def running(self) -> Iterator[None]:
        """It has recovered, and lets the agent in."""
        (self._data / alone.CHOSEN).unlink(missing_ok=True)
        logins, identities = self._beside / "foreign-hba", self._beside / "foreign-ident"
        write_whole(logins, _LOGINS.encode(), 0o644)
        write_whole(identities, b"", 0o644)
        with own_folder(self._locales, 0o755):
            pass
        quiet = {"jit": "off", "log_min_error_statement": "panic", "hot_standby": "off"}
        command = alone.command(self._server, self._data, logins, identities, quiet)
        there = {"LOCPATH": str(self._locales)}
        user = self._server.user
        with second_engine.running(command, user, self._watch, signal.SIGQUIT, there) as engine:
            engine.wait_until_ready(lambda: self._first_session(engine))
            yield

    def contents(self) -> Contents:
        """What of it is the customer's; `GuestError` for what cannot be had here."""
        with closing(self._session()) as session:
            if found := session.rows(_IN_MAIN, most=1):
                told = without_paths(str(found[0][0]))
                raise GuestError(
                    f"the database {MAIN!r} of the backup holds {told}, and no customer has that "
                    "database here: move what is in it to another one before the backup"
                )
            roles = _roles(session)
            numbers = ",".join(str(each.number) for each in roles)
            wanted = _MEMBERS.format(options=_OPTIONS if session.major >= 16 else "true, true")
            members = [Member(*row) for row in session.rows(wanted, numbers, most=MOST_ROLES)]
            known = {each.name for each in roles}
            databases = [
                Found(name, locale, *_allowed(session, number, numbers, known))
                for number, name, locale in _databases(session)
            ]
        members = [each for each in members if {each.role, each.name} <= known]
        members = [each for each in members if each.inherits or each.becomes]
        return Contents(roles, members, databases)

    def make_ready(self, database: str, roles: list[Role]) -> list[Default]:
        """Have a database tell what of it can be had here: rights of these roles alone, of which
        none was given by anybody but an owner, and nothing of what was at work in it. The defaults,
        which are of roles that own nothing here, are told."""
        kept = literal(",".join(str(each.number) for each in roles))
        with closing(self._session()) as main:
            main.run(f"ALTER DATABASE {identifier(database)} ALLOW_CONNECTIONS true")
            main.run(_ANY.format(name=literal(database)))
            with main.within(database) as session:
                for (gid,) in session.rows(_PREPARED, most=MOST_PREPARED):
                    session.run(f"ROLLBACK PREPARED {literal(str(gid))}")
                known = {each.name for each in roles}
                rows = session.rows(_DEFAULTS.format(kept=kept), most=MOST_DEFAULTS)
                defaults = [Default(*row) for row in rows if row[3] is None or row[3] in known]
                session.run("DELETE FROM pg_default_acl")
                for statement in _STAYING:
                    session.run(statement.format(kept=kept))
                for statement in _rights(kept):
                    session.run(statement)
        return defaults

    def dump(self, database: str, target: Path) -> None:
        """Write all that is in a database to a file."""
        chosen = {**alone.FREE, "session_preload_libraries": "", "local_preload_libraries": ""}
        with open_folder(self._data) as socket:
            command = [
                self._server.program("pg_dump"),
                f"--host=/proc/self/fd/{socket}",
                f"--username={SUPERUSER}",
                "--no-password",
                f"--dbname={alone.to_database(database, chosen)}",
                "--format=custom",
                "--compress=1",
                f"--lock-wait-timeout={LOCK_MS}",
                "--no-tablespaces",
                "--no-publications",
                "--no-subscriptions",
                "--no-security-labels",
                f"--file={target}",
            ]
            user, look = self._server.user, self._watch.look
            code, said = tool.ended(command, user, look, IMPORT_SECONDS, (socket,))
        if code != 0:
            raise GuestError(f"the database {database!r} of the backup cannot be read: {said}")

    def _first_session(self, engine: SecondEngine) -> Session:
        """One by which it is known to answer. A locale that is not on this server keeps everybody
        out: another one stands for it, which has to be of the same encoding."""
        try:
            return self._session()
        except GuestError:
            missing = _STRANGE_LOCALE.findall(engine.said())
            if not missing:
                raise
            stands_in = self._locales / missing[-1]
            if stands_in.is_symlink() or not _ANY_LOCALE.is_dir():
                raise GuestError(
                    f"the database {MAIN!r} of the backup sorts by {missing[-1]}, which this "
                    "server has not, and is not in UTF-8"
                ) from None
            stands_in.symlink_to(_ANY_LOCALE)
            raise Unavailable("the locale of the data is not here") from None

    def _session(self) -> Session:
        until = time.monotonic() + IMPORT_SECONDS
        made = sql.connect(self._data, self._server.user.uid, until, MAIN, SUPERUSER)
        made.allow_each(STATEMENT_SECONDS)
        return made


def _roles(session: Session) -> list[Role]:
    """Those that come along: neither superusers nor who has a name that is kept here."""
    rows = session.rows(_ROLES, most=MOST_ROLES + 1)
    if len(rows) > MOST_ROLES:
        raise GuestError(f"the backup has more than {MOST_ROLES} roles")
    found, rules = [], ENGINE.rules(GuestError)
    for number, told, logs_in, most, until, kept, inherits, stays in rows:
        name = str(told)
        if stays or name.lower() in RESERVED_USERS or name.lower().startswith(RESERVED_PREFIXES):
            continue
        password = kept if _PASSWORD.fullmatch(str(kept)) else None
        until = None if until is None else str(until)
        named, may = rules.user_name(name), (bool(logs_in), int(most))
        found.append(Role(int(number), named, *may, until, password, bool(inherits)))
    return found


def _databases(session: Session) -> Iterator[tuple[int, str, Locale]]:
    column = "datlocale" if session.major >= 17 else "daticulocale"
    icu = f"CASE datlocprovider WHEN 'i' THEN {column}::text END"
    wanted = _DATABASES.format(icu=icu if session.major >= 15 else "NULL")
    rows = session.rows(wanted, most=MOST_DATABASES + 1)
    if len(rows) > MOST_DATABASES:
        raise GuestError(f"the backup has more than {MOST_DATABASES} databases")
    rules = ENGINE.rules(GuestError)
    for number, name, *locale in rows:
        if name not in RESERVED_DATABASES:
            encoding, collate, ctype, by_icu = (
                None if each is None else str(each) for each in locale
            )
            told = Locale(str(encoding), str(collate), str(ctype), by_icu)
            yield int(number), rules.database_name(str(name)), told


def _allowed(
    session: Session, database: int, roles: str, known: set[str]
) -> tuple[list[str], list[str], list[str]]:
    rows = session.rows(_ALLOWED, roles, str(database), most=MOST_ROLES)
    rows = [row for row in rows if row[0] in known]
    let_in, others = [row[0] for row in rows if row[1]], [row for row in rows if not row[1]]
    return let_in, [row[0] for row in others if row[2]], [row[0] for row in others if row[3]]


def _rights(kept: str) -> Iterator[str]:
    for catalog, (column, owner, kind) in _OWNED.items():
        public = _PUBLIC if catalog == "pg_namespace" else "0"
        whole = {"of": catalog, "number": "o.oid", "part": "0", "public": public}
        yield _right(kept, catalog=catalog, column=column, owner=owner, kind=kind, **whole)
    owner = "(SELECT c.relowner FROM pg_class c WHERE c.oid = o.attrelid)"
    part = {"of": "pg_class", "number": "o.attrelid", "part": "o.attnum", "public": "0"}
    yield _right(kept, catalog="pg_attribute", column="attacl", owner=owner, kind="'c'", **part)


def _right(kept: str, **names: str) -> str:
    return _RIGHTS.format(first=FIRST_OWN, kept=kept, **names)


def _text(folder: int, name: str) -> str | None:
    """The begin of a file of theirs; None where there is none."""
    with suppress(OSError):
        descriptor = open_plain(folder, name, os.O_RDONLY)
        with os.fdopen(descriptor, "rb") as stream:
            return stream.read(1024).decode(errors="replace").strip()
    return None
