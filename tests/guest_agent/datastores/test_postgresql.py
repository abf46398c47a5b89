"""What is PostgreSQL's own: whatever a name is it names that and nothing else, what is granted is
possible and what is not is refused by the server, and nobody gets out of the database.
"""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import ClassVar, Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chalicelib.bus.contract.arguments import Prepare
from chalicelib.domain.contents import rules_of
from chalicelib.errors import BadRequest as Refused
from chalicelib.service_status import ServiceStatus as Status
from guest_agent import birth
from guest_agent.datastores import processes
from guest_agent.datastores.postgresql import configuration, sql
from guest_agent.datastores.postgresql.layout import Layout
from guest_agent.datastores.postgresql.manager import PostgreSQLManager
from guest_agent.datastores.postgresql.server import PostgreSQLServer
from guest_agent.datastores.server_manager import FIRST_CONTENTS_SECONDS
from guest_agent.errors import CommandFailed, GuestError
from tests.guest_agent.datastores.conftest import config
from tests.guest_agent.datastores.managed import Managed, one
from tests.guest_agent.server import prepare_args, suspend
from tests.support import postgresql

pytestmark = [pytest.mark.database, pytest.mark.xdist_group("postgresql")]

ENGINE: Final = {"manager": "postgresql", "version": postgresql.MAJOR}
PASSWORD: Final = "first-secret"
REFUSED: Final = "refused: "
OWN_NUMBER: Final = 23_457


class Database(Managed):
    """A PostgreSQL with alice, who may use shop."""

    MANAGER = PostgreSQLManager
    USER = ("postgres", OWN_NUMBER)
    ASKED: ClassVar = {"datastore": ENGINE}

    def psql(
        self, statement: str, database: str = "shop", user: str = "alice", password: str = PASSWORD
    ) -> str:
        """What a tenant reads, or how it is refused."""
        done = subprocess.run(
            ["psql", "-XqAt", "-h", self.server.address, "-U", user, "-d", database, "-f", "-"],
            input=statement,
            env={"PATH": os.environ["PATH"], "PGPASSWORD": password, "LC_ALL": "C.UTF-8"},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        said = done.stderr.strip()
        return REFUSED + said if said else done.stdout.strip()

    def names(self, method: str = "list_users") -> list[str]:
        kind = method.removeprefix("list_")
        return [each["name"] for each in self.call(method)[kind]]


@pytest.fixture(scope="module")
def database() -> Iterator[Database]:
    with one(Database) as made:
        yield made


ODD: Final = st.text(
    st.sampled_from("aZ0 _%'\"\\;$`-\n\t./@:é日😀\u202e\0") | st.characters(), max_size=70
)
RULES: Final = rules_of("postgresql")


@given(ODD)
def test_what_the_api_takes_for_a_name_the_server_takes(name: str) -> None:
    try:
        RULES.database_name(name)
        RULES.user_name(name)
    except Refused:
        return
    assert sql.identifier(name)


def test_what_one_user_makes_all_may_use_and_who_is_put_out_has_nothing(database: Database) -> None:
    bob = {"name": "bob", "password": "b", "databases": [{"name": "shop"}]}
    database.call("create_user", users=[bob])
    database.call("create_database", databases=[{"name": "other"}])

    def as_bob(statement: str, place: str = "shop") -> str:
        return database.psql(statement, place, "bob", "b")

    assert database.psql("CREATE TABLE t (x int); INSERT INTO t VALUES (1)") == ""
    assert as_bob("INSERT INTO t VALUES (2); SELECT count(*) FROM t") == "2"
    assert as_bob("CREATE SCHEMA s; CREATE TABLE s.t (x int)") == ""
    assert database.psql("DROP TABLE s.t; DROP SCHEMA s") == ""
    for place in ("other", "postgres", "template1"):
        assert "does not have CONNECT privilege" in as_bob("SELECT 1", place)
    database.call("revoke_access", username="bob", database="shop")
    assert "does not have CONNECT privilege" in as_bob("SELECT 1")
    database.call("grant_access", username="bob", databases=["other"])
    assert as_bob("RESET ROLE; CREATE SCHEMA own; CREATE TABLE own.t (x int)", "other") == ""
    database.call("delete_user", user={"name": "bob"})
    database.call("grant_access", username="alice", databases=["other"])
    assert database.psql("SELECT count(*) FROM own.t", "other") == "0", "what it made stays"
    database.call("delete_database", database={"name": "other"})
    assert database.psql("DROP TABLE t") == ""


def test_a_user_is_renamed_with_its_password_and_its_databases(database: Database) -> None:
    database.call("create_user", users=[{"name": "old", "password": "o"}])
    database.call("grant_access", username="old", databases=["shop"])
    database.call("update_attributes", username="old", user_attrs={"name": "new", "password": "n"})
    assert database.psql("SELECT current_database()", user="new", password="n") == "shop"
    database.call("delete_user", user={"name": "new"})


def test_the_customers_root_has_everything_inside_and_nothing_outside(database: Database) -> None:
    database.call("enable_root", root_password="r")

    def as_root(statement: str, place: str = "shop") -> str:
        return database.psql(statement, place, "root", "r")

    assert database.psql("CREATE TABLE t (x int)") == ""
    assert as_root("SELECT count(*) FROM t") == "0"
    assert as_root("CREATE DATABASE own", "postgres") == ""
    assert database.names("list_databases") == ["own", "shop"]
    database.call("grant_access", username="alice", databases=["own"])
    assert database.psql("CREATE TABLE t (x int)", "own") == ""
    for statement in (
        "COPY t FROM PROGRAM 'id'",
        "COPY t FROM '/etc/passwd'",
        "SELECT pg_read_file('/etc/passwd')",
        "ALTER SYSTEM SET port = 1",
        "CREATE ROLE out; GRANT pg_execute_server_program TO out",
        "GRANT pg_read_server_files TO root",
        "ALTER ROLE os_admin PASSWORD 'x'",
        "GRANT os_admin TO root",
        "ALTER ROLE root SUPERUSER",
    ):
        assert as_root(statement).startswith(REFUSED), statement
    assert "rejects connection" in database.psql("SELECT 1", "postgres", "os_admin", "x")
    assert database.psql("SELECT 1", "postgres", "postgres", "r").startswith(REFUSED)
    as_root("DROP ROLE out")
    database.call("delete_database", database={"name": "own"})
    database.call("disable_root")
    assert as_root("SELECT 1").startswith(REFUSED)
    assert database.psql("DROP TABLE t") == ""


def test_a_database_that_its_owner_has_made_a_template_is_deleted(database: Database) -> None:
    database.call("create_database", databases=[{"name": "mould"}])
    database.call("grant_access", username="alice", hostname=None, databases=["mould"])
    assert database.psql("ALTER DATABASE mould IS_TEMPLATE true", "mould") == ""
    database.call("delete_database", database={"name": "mould"})
    assert "mould" not in database.names("list_databases")


def test_settings_of_a_customers_database_do_not_reach_the_agent_in_it(database: Database) -> None:
    """Who owns a database sets what every session in it begins with, the administrator's too."""
    database.call("create_database", databases=[{"name": "trap"}])
    database.call("create_user", users=[{"name": "eve", "password": "e"}])
    database.call("grant_access", username="eve", databases=["trap"])
    group = database.psql("SELECT current_user", "trap", "eve", "e")
    hostile = [
        *("search_path = evil", "standard_conforming_strings = off"),
        *(f"role = {group}", "default_transaction_read_only = on"),
        *("idle_session_timeout = 1", "local_preload_libraries = nowhere"),
    ]
    if int(postgresql.MAJOR) >= sql.WITH_TRANSACTION_TIMEOUT:
        hostile.append("transaction_timeout = 1")
    # At once: what is set so lets nobody in.
    chosen = "; ".join(f"ALTER DATABASE trap SET {setting}" for setting in hostile)
    assert database.psql(chosen, "trap", "eve", "e") == ""
    assert database.psql("SELECT 1", "trap", "eve", "e").startswith(REFUSED)
    until = 2.0**40
    server = PostgreSQLServer(birth.load(database.server.root), "/var/lib/mysql")
    with closing(server.connect(until)) as made, made.within("trap") as inside:
        for name, value in (
            ("search_path", "pg_catalog"),
            ("standard_conforming_strings", "on"),
            ("role", "none"),
            ("default_transaction_read_only", "off"),
            ("idle_session_timeout", "0"),
            ("local_preload_libraries", ""),
        ):
            time.sleep(0.01)
            assert inside.rows("SELECT current_setting($1)", name) == [(value,)]
        inside.rows("SELECT pg_sleep(0.01)")
    database.call("create_user", users=[{"name": "bob", "password": "b"}])
    database.call("grant_access", username="bob", databases=["trap"])
    database.call("delete_user", user={"name": "bob"})
    database.call("delete_user", user={"name": "eve"})
    database.call("delete_database", database={"name": "trap"})


def test_a_create_lets_a_statement_take_longer_than_a_call_may(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A slow volume takes its time for CREATE DATABASE."""
    allowed: list[list[tuple[object, ...]]] = []

    def fill(_: PostgreSQLManager, session: sql.Session, request: Prepare) -> None:
        with session.within("shop") as inside:
            for each in (session, inside):
                allowed.append(each.rows("SELECT current_setting('statement_timeout')"))
                assert each.answer_seconds == FIRST_CONTENTS_SECONDS

    monkeypatch.setattr(PostgreSQLManager, "_fill", fill)
    database.call("prepare", **prepare_args(**Database.ASKED))
    assert allowed == [[("9min",)]] * 2
    with database.manager._life.session() as usual:
        assert usual.rows("SELECT current_setting('statement_timeout')") == [("10800ms",)]


def test_its_own_files_are_its_users_whoever_made_them(database: Database) -> None:
    if os.geteuid() == 0:
        owners = {path.lstat().st_uid for path in database.server.volume.rglob("*")}
        assert owners == {OWN_NUMBER}


@pytest.mark.parametrize("way", [signal.SIGKILL, signal.SIGSTOP], ids=["killed", "hanging"])
def test_processes_that_a_dead_server_left_do_not_keep_it_down(
    database: Database, way: signal.Signals
) -> None:
    """One that hangs holds the shared memory, and PostgreSQL does not start beside it."""
    pid = database.server.database()
    assert pid is not None
    program = str(Path(f"/proc/{pid}/exe").readlink())
    owner = Path(f"/proc/{pid}").stat().st_uid
    at_work = processes.at_work_in(database.server.volume / "data", program, owner)
    assert len(at_work) > 1
    if way is signal.SIGSTOP:
        suspend(next(each for each in at_work if each != pid))
    os.kill(pid, signal.SIGKILL)
    database.wait_until_crashed()
    assert database.manager.start_again() == "The database was started again."
    assert database.manager.condition().status is Status.HEALTHY
    assert database.psql("SELECT 1") == "1"


OURS: Final = int(postgresql.MAJOR)


@pytest.mark.parametrize(
    ("written", "asked", "said"),
    [
        (OURS, OURS, None),
        (OURS - 1, OURS, f"are of version {OURS - 1}"),
        (OURS, OURS + 1, f"was to be of {OURS + 1}"),
    ],
)
def test_data_of_another_major_are_left_alone(
    tmp_path: Path, written: int, asked: int, said: str | None
) -> None:
    server = PostgreSQLServer(config(tmp_path, "postgresql", postgresql.MAJOR), "/volume")
    server.layout.data.mkdir(parents=True)
    (server.layout.data / "PG_VERSION").write_text(f"{written}\n")
    if said is None:
        server.require_version(str(asked))
        return
    with pytest.raises(GuestError, match=said):
        server.require_version(str(asked))


def test_encodings_and_collations_are_the_servers_or_refused(database: Database) -> None:
    latin = RULES.character_set("iso-8859-5", None)
    database.call("create_database", databases=[{"name": "cyrillic", **latin}])
    told = database.call("list_databases", limit=1)["databases"]
    assert told == [{"name": "cyrillic", "character_set": "ISO_8859_5", "collate": "C"}]
    database.call("delete_database", database={"name": "cyrillic"})
    for wrong in ({"collate": "xx_YY.utf8"}, {"character_set": "NONE"}):
        with pytest.raises(CommandFailed) as refused:
            database.call("create_database", databases=[{"name": "n", **wrong}])
        assert refused.value.code == "BadRequest"
    assert database.names("list_databases") == ["shop"]


@pytest.mark.parametrize(("major", "said"), [(15, False), (17, True)])
def test_nothing_stands_above_its_files_where_it_can_do_without(
    tmp_path: Path, major: int, said: bool
) -> None:
    text = configuration.render(Layout(tmp_path, tmp_path / "volume"), "127.0.0.1", major)
    assert ("allow_alter_system = off" in text) is said
