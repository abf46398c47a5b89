"""A backup that Trove has made of a real PostgreSQL, and what a guest begins with."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any, Final

import pg8000.native
import pytest

from guest_agent import birth, datastores
from guest_agent.datastores import processes
from guest_agent.datastores.os_user import database_user
from guest_agent.datastores.postgresql import foreign, loading, sql
from guest_agent.datastores.postgresql.foreign import Foreign
from guest_agent.datastores.postgresql.loading import LOADER, Loading
from guest_agent.datastores.postgresql.server import PostgreSQLServer
from guest_agent.errors import CommandFailed, GuestError
from guest_agent.storage.room import OnVolume, Room
from tests.guest_agent.control_plane import wait_for
from tests.guest_agent.datastores.conftest import config
from tests.guest_agent.datastores.customer import Guest, guest_on, server_of
from tests.guest_agent.datastores.test_backups import POSTGRESQL, Restored, restore_args
from tests.guest_agent.datastores.test_imported import Swift, small_parts  # noqa: F401
from tests.guest_agent.fakes import Crash
from tests.guest_agent.server import REPOSITORY, Server
from tests.support import trove_postgresql as trove
from tests.support.postgresql import MAJOR
from tests.support.trove_postgresql import ADMIN_PASSWORD, PASSWORD, ROWS

pytestmark = pytest.mark.database


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    with server_of(POSTGRESQL) as made:
        monkeypatch.setenv("COFFER_SERVER_ID", made.id)
        yield made


@pytest.fixture(scope="module")
def plain() -> bytes:
    """The backup of a server of Trove's in which there is little."""
    with trove.postgresql() as theirs:
        return theirs.tar()


@pytest.fixture
def everybodys() -> Iterator[Path]:
    """A folder in which a database of any server could leave something."""
    folder = Path(tempfile.mkdtemp(prefix="coffer-everybodys-"))
    folder.chmod(0o777)
    yield folder
    shutil.rmtree(folder)


def restore(server: Server, content: bytes) -> list[str]:
    """As the flow of a create does it; what it has told on the way."""
    swift, told = Swift(content), list[str]()
    manager = datastores.manager(birth.load(server.root))
    manager.open_store = swift.open
    for method in ("fetch_backup", "apply_backup"):
        manager.call(method, restore_args(POSTGRESQL, [swift.backup()]), told.append)
    return told


def asked(
    server: Server, user: str, *statements: str, password: str = PASSWORD, database: str = "shop"
) -> Any:
    """The rows of the last statement of a customer."""
    made = pg8000.native.Connection(
        user, host=server.address, password=password, database=database, ssl_context=False
    )
    with closing(made) as connection:
        return [connection.run(each) for each in statements][-1]


def refused(server: Server, user: str, *statements: str, **where: str) -> str:
    """What the server says against it."""
    with pytest.raises(pg8000.native.DatabaseError) as raised:
        asked(server, user, *statements, **where)
    return str(raised.value.args[0]["M"])


def of_administrator(server: Server, statement: str, database: str = "postgres") -> Any:
    """Rows as the agent sees them."""
    owner = database_user("postgres", server.root).uid
    until = time.monotonic() + 10
    with closing(sql.connect(server.volume / "data", owner, until, database)) as session:
        return session.rows(statement)


def test_what_trove_has_backed_up_is_the_data_and_its_accounts_are_not(
    server: Server, plain: bytes
) -> None:
    told = restore(server, plain)
    assert [each for each in told if each.startswith(("starting", "reading", "loading"))] == [
        "starting a server on the backup",
        "reading database 1 of 1",
        "loading database 1 of 1",
    ]
    assert not (server.volume / "restored").exists()
    with guest_on(POSTGRESQL, server, Restored) as guest:
        held = "SELECT COUNT(*), MAX(n) FROM numbers"
        assert asked(server, "carol", held) == [[ROWS, ROWS]]
        assert asked(server, "olga", "SELECT 1") == [[1]], "whose password is kept as of old"
        for name in ("postgres", "os_admin", "root", "replicator"):
            refused(server, name, "SELECT 1", password=ADMIN_PASSWORD)
        assert not guest.manager.call("is_root_enabled", {}, lambda _: None)["enabled"]
        users = guest.manager.call("list_users", {}, lambda _: None)["users"]
        assert {each["name"]: [d["name"] for d in each["databases"]] for each in users} == {
            "alice": ["shop"],
            "carol": ["shop"],
            "olga": [],
        }
        (shown,) = guest.manager.call("list_databases", {}, lambda _: None)["databases"]
        assert shown == {"name": "shop", "character_set": "UTF8", "collate": "C.UTF-8"}, (
            "this server has no en_US.utf8"
        )


DEBIANS: Final = MAJOR == "15"
"""Those from PyPI have no ICU, and few extensions."""
RICH: Final = (
    "SET ROLE carol",
    "CREATE TYPE mood AS ENUM ('sad', 'glad')",
    "CREATE DOMAIN small AS int CHECK (VALUE < 1000)",
    "CREATE SEQUENCE counted START 40",
    "SELECT nextval('counted'), nextval('counted')",
    "CREATE TABLE people (id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY, name text NOT NULL,"
    " mood mood, size small, loud text GENERATED ALWAYS AS (upper(name)) STORED)",
    "INSERT INTO people (name, mood, size) VALUES ('Zoë', 'glad', 7)",
    "CREATE TABLE orders (id int PRIMARY KEY, person int REFERENCES people)",
    "INSERT INTO orders VALUES (1, 1)",
    "CREATE TABLE months (at date) PARTITION BY RANGE (at)",
    "CREATE TABLE months_1 PARTITION OF months FOR VALUES FROM ('2026-01-01') TO ('2026-02-01')",
    "INSERT INTO months VALUES ('2026-01-05')",
    "CREATE MATERIALIZED VIEW totals AS SELECT count(*) AS n FROM people",
    "CREATE VIEW names AS SELECT name FROM people",
    "CREATE FUNCTION stamped() RETURNS trigger LANGUAGE plpgsql AS"
    " $$BEGIN NEW.id := NEW.id + 100; RETURN NEW; END$$",
    "CREATE TRIGGER stamp BEFORE INSERT ON orders FOR EACH ROW EXECUTE FUNCTION stamped()",
    "CREATE TABLE secrets (whose text, what text)",
    "INSERT INTO secrets VALUES ('reader', 'shown'), ('carol', 'hidden')",
    "ALTER TABLE secrets ENABLE ROW LEVEL SECURITY",
    "CREATE POLICY own ON secrets TO reader USING (whose = session_user)",
    "CREATE POLICY of_gone ON secrets TO replicator USING (true)",
    "CREATE POLICY of_both ON secrets TO replicator, walter USING (true)",
    "CREATE TABLE forced AS SELECT n FROM generate_series(1, 3) n",
    "ALTER TABLE forced ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY",
    "CREATE POLICY parts ON forced USING (n < 3)",
    "CREATE MATERIALIZED VIEW of_forced AS SELECT n FROM forced",
    "GRANT SELECT ON secrets, people TO reader WITH GRANT OPTION",
    "GRANT UPDATE (name) ON people TO reader",
    "CREATE FUNCTION mine() RETURNS int LANGUAGE sql AS 'SELECT 1'",
    "REVOKE EXECUTE ON FUNCTION mine() FROM PUBLIC",
    "CREATE UNLOGGED TABLE brief (n int)",
    "CREATE INDEX ON people (lower(name))",
    "COMMENT ON TABLE people IS 'of the shop'",
    "SELECT lo_from_bytea(4711, 'large')",
    "CREATE SCHEMA extra",
    "CREATE TABLE extra.numbers (n int)",
    "ALTER DEFAULT PRIVILEGES GRANT SELECT ON TABLES TO reader",
    "ALTER DEFAULT PRIVILEGES IN SCHEMA extra GRANT USAGE ON SEQUENCES TO reader",
    "ALTER DEFAULT PRIVILEGES REVOKE EXECUTE ON FUNCTIONS FROM PUBLIC",
)
TRUSTED: Final = (
    "SET ROLE carol",
    "CREATE EXTENSION hstore",
    "COMMENT ON EXTENSION hstore IS 'pairs of old'",
    "CREATE TABLE pairs (p hstore)",
    "INSERT INTO pairs VALUES ('a=>1')",
)
BY_THEIR_SUPERUSER: Final = (
    "GRANT SELECT ON people TO postgres",
    "GRANT EXECUTE ON FUNCTION pg_catalog.pg_read_file(text) TO reader",
    "CREATE TABLE of_postgres (n int)",
    "GRANT SELECT ON of_postgres TO boss, replicator, reader",
    "CREATE PUBLICATION everything FOR ALL TABLES",
    "BEGIN",
    "LOCK TABLE people",
    "PREPARE TRANSACTION 'of-old'",
    "ALTER DATABASE shop SET default_transaction_read_only = on",
    "ALTER DATABASE shop SET session_preload_libraries = 'nowhere'",
    "ALTER ROLE postgres SET search_path = extra",
)
ODD: Final = "a='b\\c"
THEIR_ROLES: Final = (
    "CREATE ROLE boss SUPERUSER LOGIN",
    f"CREATE ROLE reader LOGIN PASSWORD '{PASSWORD}' CONNECTION LIMIT 3 VALID UNTIL '2099-01-01'",
    "CREATE ROLE team NOLOGIN CREATEROLE CREATEDB REPLICATION BYPASSRLS",
    f"CREATE ROLE walter LOGIN PASSWORD '{PASSWORD}' IN ROLE team",
    f"CREATE ROLE dull LOGIN PASSWORD '{PASSWORD}' IN ROLE pg_read_all_data",
    f"CREATE ROLE aloof LOGIN NOINHERIT PASSWORD '{PASSWORD}' IN ROLE team",
    "SET ROLE team",
    "CREATE ROLE of_team",
    "RESET ROLE",
    "CREATE ROLE late LOGIN PASSWORD 'x' VALID UNTIL 'infinity'",
    f'CREATE DATABASE "{ODD}" OWNER team TEMPLATE template0',
    f"CREATE DATABASE latin TEMPLATE template0 ENCODING latin1 LOCALE '{trove.OF_LATIN}'",
    "CREATE DATABASE icu TEMPLATE template0"
    + (" LOCALE_PROVIDER icu ICU_LOCALE 'de-AT'" if DEBIANS else ""),
    "CREATE DATABASE closed IS_TEMPLATE true ALLOW_CONNECTIONS false",
    "REVOKE CONNECT ON DATABASE latin FROM PUBLIC",
    "GRANT CONNECT ON DATABASE latin TO dull",
)


@pytest.fixture(scope="module")
def rich() -> Iterator[Guest]:
    """The guest that has begun with all that comes along."""
    with trove.postgresql() as theirs:
        theirs.ask(*THEIR_ROLES, database="postgres")
        for name in ("latin", ODD):
            theirs.ask("CREATE TABLE w (w text)", "INSERT INTO w VALUES ('Zoë')", database=name)
        theirs.ask("DROP EXTENSION plpgsql", "CREATE EXTENSION plpgsql", database=ODD)
        theirs.ask("DROP SCHEMA public", "CREATE SCHEMA app", database="icu")
        theirs.ask(*RICH)
        if DEBIANS:
            theirs.ask(*TRUSTED)
        theirs.ask("SET ROLE reader", "GRANT SELECT ON people TO walter")
        theirs.ask(*BY_THEIR_SUPERUSER)
        content = theirs.tar()
    with server_of(POSTGRESQL) as server, pytest.MonkeyPatch.context() as patch:
        patch.setenv("COFFER_SERVER_ID", server.id)
        restore(server, content)
        with guest_on(POSTGRESQL, server, Restored) as guest:
            yield guest


@pytest.mark.parametrize(
    ("query", "rows"),
    [
        (
            "SELECT name, mood::text, size, loud FROM people",
            [["Zoë", "glad", 7, "ZOË"]],
        ),
        ("SELECT nextval('counted')", [[42]]),
        ("INSERT INTO people (name) VALUES ('Max') RETURNING id", [[2]]),
        ("INSERT INTO orders VALUES (2, 1) RETURNING id", [[102]]),
        ("SELECT count(*) FROM months_1", [[1]]),
        ("SELECT n FROM totals", [[1]]),
        ("SELECT count(*) FROM secrets", [[2]]),
        ("SELECT polname::text FROM pg_policy ORDER BY 1", [["of_both"], ["own"], ["parts"]]),
        ("SELECT roles::text FROM pg_policies WHERE policyname = 'of_both'", [["{walter}"]]),
        ("SELECT count(*) FROM of_forced", [[2]]),
        ("SELECT mine()", [[1]]),
        ("SELECT convert_from(lo_get(4711), 'UTF8')", [["large"]]),
        ("SELECT obj_description('people'::regclass)", [["of the shop"]]),
        ("SELECT count(*) FROM brief", [[0]]),
        ("SELECT count(*) FROM of_postgres", [[0]]),
        ("SELECT count(*) FROM pg_index WHERE NOT indisvalid", [[0]]),
        ("SELECT count(*) FROM pg_publication", [[0]]),
        ("CREATE TABLE again (n int)", None),
        ("DROP TABLE extra.numbers", None),
        (
            "SELECT DISTINCT relowner::regrole::text ~ '^coffer_db_[0-9]+$' FROM pg_class"
            " WHERE relnamespace = 'public'::regnamespace",
            [[True]],
        ),
    ],
)  # fmt: skip
def test_what_stands_in_a_database_comes_along(rich: Guest, query: str, rows: Any) -> None:
    assert asked(rich.server, "carol", query) == rows


@pytest.mark.skipif(not DEBIANS, reason="it has no such extension")
def test_a_trusted_extension_comes_along(rich: Guest) -> None:
    told = "SELECT p -> 'a', obj_description(oid) FROM pairs, pg_extension WHERE extname = 'hstore'"
    assert asked(rich.server, "carol", told) == [["1", "pairs of old"]]


def test_who_only_read_still_only_reads(rich: Guest) -> None:
    server = rich.server
    assert asked(server, "reader", "SELECT what FROM secrets") == [["shown"]]
    assert asked(server, "reader", "UPDATE people SET name = 'Zoe' WHERE id = 1", "SELECT 1")
    for more in ("DELETE FROM people", "SELECT mine()", "CREATE TABLE t (n int)"):
        assert "permission denied" in refused(server, "reader", more)
    assert "permission denied" in refused(server, "reader", "SELECT pg_read_file('/etc/passwd')")
    assert asked(server, "walter", "SELECT count(*) > 0 FROM people") == [[True]], "by reader"
    assert "permission denied" in refused(server, "dull", "SELECT * FROM people")


def test_who_was_to_read_what_is_made_later_does(rich: Guest) -> None:
    asked(
        rich.server,
        "carol",
        "CREATE TABLE later (n int)",
        "CREATE FUNCTION not_mine() RETURNS int LANGUAGE sql AS 'SELECT 1'",
    )
    assert asked(rich.server, "reader", "SELECT count(*) FROM later") == [[0]]
    assert "permission denied" in refused(rich.server, "reader", "INSERT INTO later VALUES (1)")
    assert "permission denied" in refused(rich.server, "reader", "SELECT not_mine()")


def test_who_was_let_into_a_database_is(rich: Guest) -> None:
    server = rich.server
    assert asked(server, "walter", "INSERT INTO w VALUES ('x')", database=ODD) is None
    assert asked(server, "dull", "SELECT 1", database="latin") == [[1]]
    assert of_administrator(server, "SELECT w FROM public.w", "latin") == [("Zoë",)]
    assert "permission denied" in refused(server, "reader", "SELECT 1", database="latin")
    listed = rich.manager.call("list_users", {}, lambda _: None)["users"]
    shown = {each["name"]: sorted(d["name"] for d in each["databases"]) for each in listed}
    assert shown == {
        "alice": ["shop"],
        "aloof": [],
        "carol": ["shop"],
        "dull": [],
        "late": [],
        "olga": [],
        "reader": [],
        "walter": [ODD],
    }


def test_nobody_has_rights_above_databases(rich: Guest) -> None:
    found = of_administrator(
        rich.server,
        "SELECT rolname, rolcanlogin, rolconnlimit, rolvaliduntil::date::text,"
        " rolsuper OR rolcreatedb OR rolcreaterole OR rolreplication OR rolbypassrls"
        " FROM pg_roles WHERE rolname IN ('team', 'reader', 'late', 'boss', 'replicator')"
        " ORDER BY 1",
    )
    assert found == [
        ("late", True, -1, "infinity", False),
        ("reader", True, 3, "2099-01-01", False),
        ("team", False, -1, None, False),
    ]
    assert of_administrator(
        rich.server,
        "SELECT rolname, rolinherit FROM pg_auth_members JOIN pg_roles r ON r.oid = member"
        " WHERE roleid IN ('team'::regrole, 'of_team'::regrole) ORDER BY 1",
    ) == [("aloof", False), ("walter", True)], "team itself was no member of what it has made"
    members = of_administrator(
        rich.server,
        "SELECT m.rolname FROM pg_auth_members a JOIN pg_roles m ON m.oid = a.member"
        " JOIN pg_roles g ON g.oid = a.roleid WHERE g.rolname ~ '^pg_' AND m.rolname <> 'root'"
        " AND m.rolname !~ '^pg_'",
    )
    assert members == []
    assert of_administrator(rich.server, f"SELECT 1 FROM pg_roles WHERE rolname = '{LOADER}'") == []
    assert of_administrator(rich.server, "SELECT count(*) FROM pg_prepared_xacts") == [(0,)]


def test_databases_sort_as_they_did_where_that_is_known(rich: Guest) -> None:
    found = of_administrator(
        rich.server,
        "SELECT datname, pg_encoding_to_char(encoding)::text, datcollate,"
        " datlocprovider::text = 'i'"
        " FROM pg_database WHERE datname NOT IN ('postgres', 'template0', 'template1') ORDER BY 1",
    )
    assert found == [
        (ODD, "UTF8", "C.UTF-8", False),
        ("closed", "UTF8", "C.UTF-8", False),
        ("icu", "UTF8", "C.UTF-8", DEBIANS),
        ("latin", "LATIN1", "C", False),
        ("shop", "UTF8", "C.UTF-8", False),
    ]


def test_it_plans_by_figures_soon(rich: Guest) -> None:
    """Those that the load has counted, which autovacuum goes by, are there after its end."""
    changed = "SELECT n_mod_since_analyze + n_tup_ins > 0 FROM pg_stat_user_tables"
    wait_for(lambda: [True] in asked(rich.server, "carol", changed))


REFUSED: Final = {
    "an event trigger": (
        "CREATE FUNCTION spy() RETURNS event_trigger LANGUAGE plpgsql AS 'BEGIN END'",
        "CREATE EVENT TRIGGER spies ON ddl_command_start EXECUTE FUNCTION spy()",
        r"permission denied to create event trigger .*\(CREATE EVENT TRIGGER spies ON",
    ),
    "a function of C": (
        "CREATE FUNCTION rude() RETURNS void AS '$libdir/plpgsql', 'plpgsql_call_handler'"
        " LANGUAGE c",
        r"permission denied for language c \(CREATE FUNCTION public.rude\)",
    ),
    "an extension that is not trusted": (
        "CREATE EXTENSION file_fdw",
        "permission denied to create extension",
    ),
    "a check that is let do nothing": (
        "CREATE FUNCTION tries() RETURNS boolean LANGUAGE plpgsql AS $$BEGIN"
        " IF session_user <> 'postgres' THEN EXECUTE 'ALTER ROLE carol SUPERUSER'; END IF;"
        " RETURN true; END$$",
        "CREATE TABLE caught (n int CHECK (public.tries()))",
        "INSERT INTO caught VALUES (1)",
        "COPY failed for table .caught.: ERROR:  (must be superuser|permission denied) to alter",
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", REFUSED)
def test_what_no_customer_may_have_is_named(case: str, server: Server) -> None:
    *statements, why = REFUSED[case]
    if "extension" in case and not DEBIANS:
        pytest.skip("it has no such extension")
    with trove.postgresql() as theirs:
        theirs.ask(*statements)
        content = theirs.tar()
    with pytest.raises(
        CommandFailed, match=f"'shop' of the backup cannot be had here: .*(?:{why})"
    ):
        restore(server, content)
    assert not (server.volume / "data").exists()
    left_alone(server)


def left_alone(server: Server) -> None:
    """Nobody is at work in what was being made."""
    owner = database_user("postgres", server.root).uid
    assert processes._at_work_below(server.volume.resolve(), owner) == []


MISCHIEF: Final = """CREATE FUNCTION public.mischief(n int) RETURNS boolean LANGUAGE plpgsql AS $f$
BEGIN
  BEGIN EXECUTE 'ALTER ROLE ' || quote_ident(session_user) || ' SUPERUSER';
  EXCEPTION WHEN OTHERS THEN NULL; END;
  BEGIN EXECUTE 'ALTER ROLE carol CREATEROLE'; EXCEPTION WHEN OTHERS THEN NULL; END;
  BEGIN EXECUTE 'GRANT pg_read_server_files TO carol'; EXCEPTION WHEN OTHERS THEN NULL; END;
  BEGIN EXECUTE 'CREATE ROLE made SUPERUSER'; EXCEPTION WHEN OTHERS THEN NULL; END;
  BEGIN EXECUTE 'COPY (SELECT 1) TO PROGRAM ''touch {mark}'''; EXCEPTION WHEN OTHERS THEN NULL; END;
  BEGIN EXECUTE 'CREATE TABLE public.of_' || session_user || ' AS SELECT current_setting('
    || quote_literal('is_superuser') || ') AS mighty'; EXCEPTION WHEN OTHERS THEN NULL; END;
  RETURN true;
END $f$"""


def test_what_runs_while_it_is_loaded_has_no_rights(server: Server, everybodys: Path) -> None:
    mark = everybodys / "was-here"
    with trove.postgresql() as theirs:
        theirs.ask(
            MISCHIEF.replace("{mark}", str(mark)),
            "ALTER FUNCTION mischief SECURITY DEFINER",
            "CREATE TABLE caught (n int CHECK (public.mischief(n)))",
            "INSERT INTO caught VALUES (1)",
            "CREATE MATERIALIZED VIEW seen AS SELECT public.mischief(1)",
            "CREATE FUNCTION become() RETURNS text SECURITY DEFINER LANGUAGE sql"
            " AS $$SELECT current_user::text$$",
            "DROP TABLE of_postgres",
            "ALTER ROLE carol NOCREATEROLE",
            "REVOKE pg_read_server_files FROM carol",
        )
        mark.unlink()  # as their superuser it is let
        content = theirs.tar()
    restore(server, content)
    with guest_on(POSTGRESQL, server, Restored):
        assert not mark.exists()
        assert asked(server, "carol", f"SELECT mighty FROM of_{LOADER}") == [["off"]]
        ((became,),) = asked(server, "carol", "SELECT become()")
        assert became.startswith("coffer_db_")
        found = of_administrator(
            server,
            "SELECT rolname FROM pg_roles WHERE rolname !~ '^(pg_|coffer_db_[0-9])'"
            " AND (rolsuper OR rolcreaterole) ORDER BY 1",
        )
        assert found == [("os_admin",), ("root",)]


def test_neither_settings_nor_names_of_theirs_are_taken(server: Server, everybodys: Path) -> None:
    mark = everybodys / "archived"
    with trove.postgresql() as theirs:
        theirs.ask(
            *(f"CREATE ROLE {name} SUPERUSER LOGIN" for name in ("os_admin", "root")),
            f"CREATE ROLE coffer_db_1 LOGIN PASSWORD '{PASSWORD}'",
            f"CREATE ROLE \"Root\" LOGIN PASSWORD '{PASSWORD}'",
            "GRANT SELECT ON numbers TO os_admin, coffer_db_1",
            f"ALTER SYSTEM SET archive_command = 'touch {mark}'",
            "ALTER SYSTEM SET archive_mode = 'always'",
            "ALTER SYSTEM SET shared_preload_libraries = 'nowhere'",
            "ALTER SYSTEM SET restore_command = 'false'",
        )
        content = theirs.tar()
    restore(server, content)
    with guest_on(POSTGRESQL, server, Restored):
        assert not mark.exists()
        refused(server, "coffer_db_1", "SELECT 1")
        refused(server, "Root", "SELECT 1")
        chosen = "SELECT setting FROM pg_settings WHERE name = 'shared_preload_libraries'"
        assert of_administrator(server, chosen) == [("",)]


ELSEWHERE: Final = {
    "what is in the database that is ours": (
        ("CREATE TABLE mine (n int)",),
        r"the database 'postgres' of the backup holds public\.mine",
    ),
    "a function in it": (
        ("CREATE FUNCTION mine() RETURNS int LANGUAGE sql AS 'SELECT 1'",),
        r"the database 'postgres' of the backup holds the function public\.mine",
    ),
    "a large object in it": (
        ("SELECT lo_create(7)",),
        "the database 'postgres' of the backup holds the large object 7",
    ),
    "a name that no path can hold": (('CREATE ROLE "a/b"',), "A user name has"),
    "a name of a database that none can": (('CREATE DATABASE "a/b"',), "A database name has"),
    "a superuser that is none": (
        ("CREATE ROLE other SUPERUSER", "SET ROLE other", "ALTER ROLE postgres NOSUPERUSER"),
        "does not answer as it should",
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", ELSEWHERE)
def test_what_cannot_be_had_here_is_told_before_it_is_read(case: str, server: Server) -> None:
    statements, why = ELSEWHERE[case]
    with trove.postgresql() as theirs:
        try:
            theirs.ask(*statements, database="postgres")
        except pg8000.native.DatabaseError as error:
            pytest.skip(str(error))  # from 16 on
        content = theirs.tar()
    with pytest.raises(CommandFailed, match=why):
        restore(server, content)
    assert not (server.volume / "data").exists()
    left_alone(server)


def test_a_locale_for_which_nothing_stands_in_is_named(server: Server) -> None:
    with trove.postgresql(trove.OF_LATIN) as theirs:
        content = theirs.tar()
    with pytest.raises(CommandFailed, match=r"sorts by de_DE\.iso88591, which this server has not"):
        restore(server, content)
    left_alone(server)


def test_one_that_dies_on_the_way_begins_anew(
    server: Server, plain: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    def dies(*_: object) -> None:
        raise Crash

    steps: tuple[tuple[type, str], ...] = (
        (Foreign, "contents"),
        (Foreign, "dump"),
        (Loading, "make"),
        (Loading, "make_roles"),
        (Loading, "_restore"),
    )
    for where, step in steps:
        with monkeypatch.context() as patch:
            patch.setattr(where, step, dies)
            with pytest.raises(Crash):
                restore(server, plain)
        assert not (server.volume / "data").exists()
        left_alone(server)
    restore(server, plain)
    assert (server.volume / "data/PG_VERSION").exists()


def test_what_one_that_was_killed_has_left_at_work_is_ended(server: Server, plain: bytes) -> None:
    user = database_user("postgres", server.root)
    folder = user.make_folder(server.volume / "restored/new")
    left = subprocess.Popen(["sleep", "60"], cwd=folder, **user.child_options())
    try:
        restore(server, plain)
        assert left.wait(5) == -9
    finally:
        left.kill()


KILLED: Final = """
import sys, time
from pathlib import Path
from types import SimpleNamespace
from guest_agent.datastores.postgresql import server
from guest_agent.datastores.postgresql.loading import Loading
from infra.parameters import engines
from tests.guest_agent.datastores.test_imported_postgresql import MAJOR, restore
server.INSTALLED = engines.postgresql(MAJOR)
Loading._restore = lambda *_: time.sleep(300)
restore(SimpleNamespace(root=Path(sys.argv[1])), Path(sys.argv[2]).read_bytes())
"""


@pytest.mark.parametrize("sign", ["foreign-hba", "dumps/0", "new/PG_VERSION", "new-hba"])
def test_an_agent_that_is_killed_while_it_loads_begins_anew(
    sign: str, server: Server, plain: bytes, tmp_path: Path
) -> None:
    (tmp_path / "object").write_bytes(plain)
    loads = server.volume / "restored" / sign
    command = [sys.executable, "-c", KILLED, str(server.root), str(tmp_path / "object")]
    with subprocess.Popen(command, cwd=REPOSITORY) as agent:
        wait_for(loads.exists)
        agent.kill()
    restore(server, plain)
    assert (server.volume / "data/PG_VERSION").exists()
    left_alone(server)


def test_what_their_server_has_begun_ends_with_it(
    server: Server, plain: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever has made the data may have it run a program, which nobody is the parent of."""
    dump, begun = Foreign.dump, "sleep 271.828"

    def begins(self: Foreign, database: str, target: Path) -> None:
        with closing(self._session()) as session:
            session.run(f"COPY (SELECT 1) TO PROGRAM 'cd /; setsid {begun} >/dev/null 2>&1 &'")
        wait_for(lambda: at_work(begun))
        dump(self, database, target)

    monkeypatch.setattr(Foreign, "dump", begins)
    restore(server, plain)
    assert not at_work(begun)


SLEEPS: Final = "import time; print(flush=True); time.sleep(600)"
HOPS: Final = """
import os, time
print(flush=True)
while True:
    if os.fork():
        os._exit(0)
    time.sleep(0.001)
"""
"""Whoever looks for its number finds that of a process that has ended."""


@pytest.mark.skipif(os.geteuid() != 0, reason="it has no user of its own")
def test_what_an_agent_that_died_had_begun_meets_no_data_of_ours(
    server: Server, plain: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is nobody's child by then, nor is it at work in a folder of ours."""
    number = 500_000 + os.getpid()  # nobody's
    users = server.root / "etc/passwd"
    users.write_text(f"postgres:x:{number}:{number}::/:/bin/false\n", encoding="utf-8")
    user = database_user("postgres", server.root)
    program = [shutil.which("python3", path="/usr/bin") or sys.executable, "-c"]
    options = {"stdout": subprocess.PIPE, "cwd": "/", **user.child_options()}
    made = Loading.make

    def alone(self: Loading) -> None:
        assert not processes._living(number)
        made(self)

    monkeypatch.setattr(Loading, "make", alone)
    with (
        subprocess.Popen([*program, SLEEPS], **options) as sleeps,
        subprocess.Popen([*program, HOPS], **options) as hops,
    ):
        try:
            for each in (sleeps, hops):
                assert each.stdout is not None
                assert each.stdout.readline() == b"\n"
            restore(server, plain)
        finally:
            processes.kill_all_of(user)


@pytest.mark.parametrize("put", [os.mkfifo, lambda path: path.symlink_to("/dev/zero")])
def test_what_their_server_puts_in_the_place_of_what_was_read_is_not_waited_for(
    put: Callable[[Path], None], server: Server, plain: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    dump = Foreign.dump

    def replaced(self: Foreign, database: str, target: Path) -> None:
        dump(self, database, target)
        target.unlink()
        put(target)

    monkeypatch.setattr(Foreign, "dump", replaced)
    monkeypatch.setattr(loading, "IMPORT_SECONDS", 20.0)
    with pytest.raises(CommandFailed, match="what was read of the backup is no file any more"):
        restore(server, plain)
    left_alone(server)


def at_work(command: str) -> bool:
    wanted = command.replace(" ", "\0").encode() + b"\0"
    return any(
        said == wanted
        for each in Path("/proc").glob("[0-9]*/cmdline")
        if (said := _said(each)) is not None
    )


def _said(path: Path) -> bytes | None:
    try:
        return path.read_bytes()
    except OSError:
        return None


def test_a_volume_without_the_room_is_told_so_before(
    server: Server, plain: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    room = Room(free=100 * 1024**2, held=0, reserve=0, low=8 * 1024**2)
    monkeypatch.setattr(OnVolume, "look", lambda _: room)
    why = r"beside the \d+ MiB of the backup \d+ are needed to read it, and 92 are free"
    with pytest.raises(CommandFailed, match=why):
        restore(server, plain)
    assert not (server.volume / "data").exists()


def test_a_volume_that_fills_up_on_the_way_ends_it(
    server: Server, plain: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    room = Room(free=1024**3, held=0, reserve=0, low=8 * 1024**2)
    dump = Foreign.dump

    def fills(self: Foreign, database: str, target: Path) -> None:
        monkeypatch.setattr(OnVolume, "look", lambda _: room._replace(free=0))
        dump(self, database, target)

    monkeypatch.setattr(OnVolume, "look", lambda _: room)
    monkeypatch.setattr(Foreign, "dump", fills)
    with pytest.raises(CommandFailed, match=r"the volume is full: .*begin with a larger one"):
        restore(server, plain)
    left_alone(server)


def _whole(folder: Path) -> None:
    (folder / "PG_VERSION").write_text(f"{MAJOR}\n")
    (folder / "backup_label").write_text("START WAL LOCATION: 0/2000028\n")
    (folder / "pg_tblspc").mkdir()


SPOILED: Final[dict[str, tuple[Callable[[Path], Any], str]]] = {
    "nothing": (lambda folder: (folder / "PG_VERSION").unlink(), "no PostgreSQL's"),
    "another major": (
        lambda folder: (folder / "PG_VERSION").write_text("9\n"),
        "of PostgreSQL 9, which PostgreSQL .* does not read",
    ),
    "words": (lambda folder: (folder / "PG_VERSION").write_text("new\n"), "no PostgreSQL's"),
    "no label": (lambda folder: (folder / "backup_label").unlink(), "is not whole"),
    "a standby": (lambda folder: (folder / "standby.signal").touch(), "follows another one"),
    "a recovery": (lambda folder: (folder / "recovery.signal").touch(), "follows another one"),
    "a tablespace": (lambda folder: (folder / "pg_tblspc/16400").mkdir(), "has tablespaces"),
    "its map": (
        lambda folder: (folder / "tablespace_map").write_text("16400 /x\n"),
        "has tablespaces",
    ),
}


@pytest.mark.parametrize("case", SPOILED)
def test_a_copy_that_no_server_here_could_read_is_refused(case: str, tmp_path: Path) -> None:
    spoil, why = SPOILED[case]
    server = PostgreSQLServer(config(tmp_path, "postgresql", MAJOR), "/volume")
    _whole(tmp_path)
    foreign.require_own(server, tmp_path)
    spoil(tmp_path)
    with pytest.raises(GuestError, match=why):
        foreign.require_own(server, tmp_path)


@pytest.mark.parametrize(
    ("kept", "taken"),
    [
        ("md5" + "0123456789abcdef" * 2, True),
        ("md5" + "0123456789ABCDEF" * 2, False),
        (f"SCRAM-SHA-256$4096:{'a' * 22}==${'b' * 43}=:{'c' * 43}=", True),
        (f"SCRAM-SHA-256$40960000:{'a' * 22}==${'b' * 43}=:{'c' * 43}=", False),
        (f"SCRAM-SHA-256$4096:{'a' * 22}==${'b' * 43}=:{'c' * 43}=' SUPERUSER", False),
        ("in the clear", False),
        ("", False),
    ],
)
def test_a_password_is_taken_by_its_pattern(kept: str, taken: bool) -> None:
    assert bool(foreign._PASSWORD.fullmatch(kept)) is taken
