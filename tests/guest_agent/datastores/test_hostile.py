"""Whatever somebody writes for a name, a password, a host or an encoding: on each real engine it is
that thing or it is refused, and nothing else changes, in the server or in the agent's files.

`make test-hostile` tries many more (`COFFER_HOSTILE_EXAMPLES`).
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final

import pymysql
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from guest_agent.errors import CommandFailed
from tests.guest_agent.datastores import test_contract
from tests.guest_agent.datastores.test_contract import ALICE, MARIADB, POSTGRESQL, REDIS, Real

pytestmark = [pytest.mark.database, pytest.mark.timeout(3600)]

FEW: Final = 3
EXAMPLES: Final = int(os.environ.get("COFFER_HOSTILE_EXAMPLES", FEW))
HOSTILE: Final = (
    *("", " ", "%", "_", "sh_p", "sh%", "\\", "\\_", "\\'", "''", '"', '""', "`", "``", ";", "--"),
    *("\0", "a\0b", "\n", "a\nb", "\r\n", "\t", "\x1b[2J", "\x7f", "\ufffe", "\u202eb"),
    *("select", "user", "public", "none", "all", "default", "nopass", "on", "PUBLIC", "postgres"),
    *("'; DROP DATABASE shop; --", '"; DROP DATABASE shop; --', "`; DROP DATABASE shop; -- "),
    *("$(touch /tmp/x)", "`touch x`", "| touch x", "&& touch x", "-rf", "--help", "../../etc"),
    *("x\nuser eve on nopass ~* +@all", "on nopass +@all", "#" + "0" * 64, ">x", "~*"),
    *("%s", "%(name)s", "{0}", "$1", "$coffer$", "%I", "%%", "\\x00", "U&'\\0061'", "E'\\n'"),
    *("é", "日本", "😀", "ﬀ", "e\u0301", "\u00ad", "\u200b", "İ", "ß", "a" * 32, "a" * 33),
    *("a" * 63, "a" * 64, "日" * 21, "日" * 22, "x" * 255, "x" * 256, "x" * 10_000, "日" * 10_000),
)
ALWAYS: Final = ("%", "sh_p", "\\'", "'; DROP DATABASE shop; --", "select", "\u200b", "x" * 10_000)
ODD: Final = st.sampled_from(HOSTILE) | st.text(
    st.sampled_from("aZ0 _%'\"\\;$`-\n\t./@:#é日😀\u202e\0")
    | st.characters(exclude_categories=["Cs"]),
    max_size=70,
)
"""Half of a surrogate pair is no text: what is decoded on the way here refuses it."""
QUICK: Final = settings(
    max_examples=EXAMPLES,
    deadline=None,
    derandomize=EXAMPLES <= FEW,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
PASSWORD: Final = "first-secret"
ROOT: Final = "r"
REFUSALS: Final = {"BadRequest", "NotSupported"}
MISSING: Final = {*REFUSALS, "DatabaseNotFound", "UserNotFound"}


class Engine(Real):
    """A server with alice, who may use shop; its root has the password `r`."""

    def prepare(self) -> None:
        self.call("prepare", **test_contract.first(self))
        self.call("enable_root", root_password=ROOT)
        if self.speech.contents:
            self.call("create_user", users=[{"name": "bob", "password": "b"}])

    @property
    def address(self) -> str:
        """Where its clients find it."""
        return self._server.address

    def call(self, method: str, **args: Any) -> dict[str, Any]:
        return self.manager.call(method, args, lambda stage: None)

    def refused(self, codes: set[str], method: str, **args: Any) -> bool:
        """Whether it was; by one of those codes."""
        try:
            self.call(method, **args)
        except CommandFailed as refusal:
            if refusal.code not in codes:
                raise
            return True
        return False

    def login(self, user: str, password: str, database: str, statement: str) -> str | None:
        """What a tenant reads, by the client of the engine; None where it is refused."""
        return CLIENTS[self.speech.manager](self.address, user, password, database, statement)

    def state(self) -> dict[str, Any]:
        """Everything that must be as before: contents, rights, files of the agent's own."""
        root = self._server.root
        files = [*(root / "etc").rglob("*"), *(root / "volume/data").glob("users.acl")]
        told: dict[str, Any] = {
            str(each.relative_to(root)): each.read_bytes() for each in files if each.is_file()
        }
        told["names"] = sorted(str(each) for each in (*root.iterdir(), *Path.cwd().iterdir()))
        told["root"] = self.call("is_root_enabled")
        if self.speech.contents:
            told["databases"] = test_contract.databases(self)
            told["users"] = test_contract.users(self)
        return told


def _mariadb(address: str, user: str, password: str, database: str, statement: str) -> str | None:
    try:
        connection = pymysql.connect(
            host=address,
            user=user,
            password=password.encode(),  # of a text it would send Latin-1
            database=database,
            charset="utf8mb4",
        )
        with connection, connection.cursor() as cursor:
            cursor.execute(statement)
            return str((cursor.fetchone() or ("",))[0])
    except pymysql.MySQLError:
        return None


def _psql(address: str, user: str, password: str, database: str, statement: str) -> str | None:
    done = _run(
        ["psql", "-XqAt", "-h", address, "-U", user, "-d", f"dbname='{_quoted(database)}'"],
        {"PGPASSWORD": password, "LC_ALL": "C.UTF-8"},
        statement,
    )
    return None if done.stderr else done.stdout.strip("\n")


def _quoted(text: str) -> str:
    """A value in a connection string of libpq."""
    return text.replace("\\", "\\\\").replace("'", "\\'")


def _redis(address: str, user: str, password: str, database: str, statement: str) -> str | None:
    done = _run(
        ["redis-cli", "-h", address, "--user", user, statement], {"REDISCLI_AUTH": password}
    )
    said = done.stdout.strip()
    return said if said == "PONG" else None


def _run(
    command: list[str], environment: dict[str, str], told: str = ""
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command,
        input=told,
        env={"PATH": os.environ["PATH"], **environment},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


CLIENTS: Final[dict[str, Callable[[str, str, str, str, str], str | None]]] = {
    "mariadb": _mariadb,
    "postgresql": _psql,
    "redis": _redis,
}
WHO: Final = {"mariadb": "SELECT user()", "postgresql": "SELECT session_user", "redis": "PING"}


def _made(speech: test_contract.Speech) -> Iterator[Engine]:
    with pytest.MonkeyPatch.context() as patch:
        engine = Engine(speech)
        patch.setenv("COFFER_SERVER_ID", engine.server_id)
        try:
            engine.prepare()
            yield engine
        finally:
            engine.close()


ALL: Final = [
    pytest.param(each, id=each.manager, marks=pytest.mark.xdist_group(f"hostile-{each.manager}"))
    for each in (MARIADB, POSTGRESQL, REDIS)
]


@pytest.fixture(scope="module")
def engine(request: pytest.FixtureRequest) -> Iterator[Engine]:
    """One for all examples, which clean up after themselves."""
    yield from _made(request.param)


each_engine: Final = pytest.mark.parametrize("engine", ALL, indirect=True)
each_with_contents: Final = pytest.mark.parametrize("engine", ALL[:2], indirect=True)


def hostile(test: Callable[..., None]) -> Callable[..., None]:
    """The list, each beside another of it; a few of them where few examples are wanted."""
    chosen = HOSTILE if EXAMPLES > FEW else ALWAYS
    for number, text in enumerate(chosen):
        test = example(text, chosen[(number * 7 + 3) % len(chosen)])(test)
    return test


def sendable(*texts: str) -> bool:
    """Whether a client can be given it: no program is told a NUL, no environment a line's end."""
    return not any({"\0", "\n", "\r"} & set(text) for text in texts)


@each_engine
@QUICK
@given(ODD)
@example("on nopass +@all")
@example("p\nuser eve on nopass ~* +@all")
@example("p\r\nCONFIG SET dir /")
@example("#" + "0" * 64)
@example("x" * 10_000)
@example("日" * 10_000)
def test_roots_password(engine: Engine, password: str) -> None:
    before = engine.state()
    if engine.refused(REFUSALS, "enable_root", root_password=password):
        assert engine.state() == before
        return
    try:
        if sendable(password):
            who = engine.speech.superuser
            database = "shop" if engine.speech.contents else ""
            assert engine.login(who, password, database, WHO[engine.speech.manager]) is not None
            assert engine.login(who, password + "x", database, "PING") is None
    finally:
        engine.call("enable_root", root_password=ROOT)
    assert engine.state() == before


@each_with_contents
@QUICK
@given(ODD, ODD)
@hostile
@example("somebody", "\u00ad")
@example("''", "p")
@example("'alice'", "p")
def test_a_user(engine: Engine, name: str, password: str) -> None:
    before = engine.state()
    user = {"name": name, "password": password, "databases": [{"name": "shop"}]}
    if engine.refused(REFUSALS, "create_user", users=[user]):
        assert engine.state() == before
        return
    made = (name, "%", ["shop"])
    try:
        assert sorted(test_contract.users(engine)) == sorted([*before["users"], made])
        assert engine.call("get_user", username=name)["user"]["name"] == name
        if sendable(name, password):
            said = engine.login(name, password, "shop", WHO[engine.speech.manager])
            assert said is not None
            assert name in (said, said.rpartition("@")[0])  # MariaDB tells the host, too
        assert not engine.refused(
            set(), "change_passwords", users=[{"name": name, "password": "n"}]
        )
    finally:
        engine.call("delete_user", user={"name": name})
    assert engine.state() == before


@each_with_contents
@QUICK
@given(ODD, ODD)
@hostile
def test_a_users_other_name_and_host(engine: Engine, name: str, host: str) -> None:
    before = engine.state()
    for attributes in ({"name": name}, {"host": host}, {"name": name, "host": host}):
        asked = {"username": "alice", "user_attrs": attributes}
        if engine.refused({*REFUSALS, "UserAlreadyExists"}, "update_attributes", **asked):
            assert engine.state() == before, attributes
            continue
        # "" asks for none; MariaDB keeps hosts in lower case.
        now = attributes.get("name") or "alice", (attributes.get("host") or "%").lower()
        try:
            assert (*now, ["shop"]) in test_contract.users(engine)
        finally:
            was = {"name": "alice"} | ({"host": "%"} if now[1] != "%" else {})
            engine.call("update_attributes", username=now[0], hostname=now[1], user_attrs=was)
        assert engine.state() == before, attributes


@each_with_contents
@QUICK
@given(ODD, ODD)
@hostile
@example("some", "a\0b")
def test_a_database(engine: Engine, name: str, encoding: str) -> None:
    """What is granted on it is granted on nothing else, whatever pattern its name would be."""
    before = engine.state()
    for words in ({"character_set": encoding}, {"collate": encoding}):
        odd = {"name": "odd", **words}
        if not engine.refused(REFUSALS, "create_database", databases=[odd]):
            engine.call("delete_database", database={"name": "odd"})
        assert engine.state() == before, words
    if engine.refused(
        {*REFUSALS, "DatabaseAlreadyExists"}, "create_database", databases=[{"name": name}]
    ):
        assert engine.state() == before
        return
    try:
        assert test_contract.databases(engine) == sorted([*before["databases"], name])
        if not engine.refused(REFUSALS, "grant_access", username="bob", databases=[name]):
            told = engine.call("list_access", username="bob")["databases"]
            assert told == [{"name": name}]
            if sendable(name):
                assert engine.login("bob", "b", name, "CREATE TABLE t (x int)") == ""
            assert engine.login("bob", "b", "shop", "SELECT 1") is None
            engine.call("revoke_access", username="bob", database=name)
    finally:
        engine.call("delete_database", database={"name": name})
    assert engine.state() == before


@each_with_contents
@QUICK
@given(ODD, ODD)
@hostile
def test_what_is_not_there(engine: Engine, name: str, other: str) -> None:
    """A name that fits nobody finds nobody: it is no pattern, and no other spelling of one."""
    before = engine.state()
    there = {each for each, *_ in before["users"]} | set(before["databases"])
    if {name, other} & there:
        return
    for method, args in (
        ("delete_user", {"user": {"name": name}}),
        ("delete_database", {"database": {"name": name}}),
        ("get_user", {"username": name, "hostname": other}),
        ("list_access", {"username": name}),
        ("change_passwords", {"users": [{"name": name, "password": "p"}]}),
        ("update_attributes", {"username": name, "user_attrs": {"name": "eve"}}),
        ("grant_access", {"username": name, "databases": ["shop"]}),
        ("grant_access", {"username": "alice", "databases": [name, other]}),
        ("revoke_access", {"username": "alice", "database": name}),
    ):
        assert engine.refused(MISSING, method, **args), (method, args)
    for method in ("list_users", "list_databases"):
        engine.refused(REFUSALS, method, marker=name)
    assert ALICE in before["users"]
    assert engine.state() == before
