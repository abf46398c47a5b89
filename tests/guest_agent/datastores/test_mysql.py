"""What is MySQL's own: its accounts, its privileges, its passwords (`make test-mysql`)."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pymysql
import pytest

from chalicelib.engines import mysql_charsets
from chalicelib.engines.engine import GIB, LOG_SHARE
from chalicelib.engines.mysql import ENGINE
from guest_agent.datastores.mysql import sql, superuser
from guest_agent.datastores.mysql.layout import SOCKET
from guest_agent.datastores.os_user import agent_account
from tests.guest_agent.control_plane import wait_for
from tests.guest_agent.datastores.conftest import Guest
from tests.guest_agent.server import prepare_args
from tests.support.mysql import VERSION

pytestmark = pytest.mark.database

ROOT = "root-secret"


@pytest.fixture(scope="module")
def served() -> Iterator[Guest]:
    """A prepared server for tests that clean up after themselves."""
    from tests.guest_agent.datastores.conftest import _make

    made = _make(datastore_manager="mysqld", datastore_version=VERSION)
    try:
        order = {"manager": "mysqld", "version": VERSION}
        asked = made.control.send(made.control.command("prepare", prepare_args(datastore=order)))
        made.server.start_agent()
        answer = made.control.answer(asked, 240)
        assert answer.error is None, answer.error
        yield made
    finally:
        made.close()


@pytest.fixture
def as_agent(served: Guest) -> Iterator[Callable[[str], list[Any]]]:
    data = served.server.volume / "data"
    plug = str(data / SOCKET)
    with pymysql.connect(unix_socket=plug, user=agent_account(), autocommit=True) as connection:

        def run(statement: str) -> list[Any]:
            with connection.cursor() as cursor:
                cursor.execute(statement)
                return list(cursor.fetchall())

        yield run


@pytest.fixture
def root(served: Guest) -> Iterator[Callable[[str], list[Any]]]:
    """What a customer's root reads."""
    served.ask("enable_root", {"root_password": ROOT})
    yield lambda statement: served.rows(statement, user="root", password=ROOT)
    served.ask("disable_root")


def test_character_sets_and_collations_are_those_of_the_server(as_agent: Any) -> None:
    query = "SELECT CHARACTER_SET_NAME, COLLATION_NAME FROM information_schema.COLLATIONS"
    told: dict[str, set[str]] = {}
    for charset, collation in as_agent(query):
        told.setdefault(charset, set()).add(collation)
    assert told == {name: set(known) for name, known in mysql_charsets.COLLATIONS.items()}


@pytest.mark.parametrize("password", ["a", "q'\\\"%`$A$005$", "ä" * 128, "x" * 255])
def test_a_password_lets_its_user_in_and_no_other_does(served: Guest, password: str) -> None:
    served.ask("create_user", {"users": [{"name": "bob", "password": password}]})
    with pymysql.connect(
        host=served.server.address, user="bob", password=password.encode()
    ) as connection:
        assert connection.open
    with pytest.raises(pymysql.MySQLError):
        served.login("bob", f"{password}x")
    served.ask("delete_user", {"user": {"name": "bob"}})


@pytest.mark.parametrize(
    "statement",
    [
        "SET PERSIST max_connections = 10",
        "SET GLOBAL max_connections = 10",
        "SET GLOBAL read_only = ON",
        "SELECT 1 INTO OUTFILE '/tmp/never'",
        "SHUTDOWN",
        "GRANT FILE ON *.* TO root",
        f"DROP USER `{agent_account()}`@localhost",
        "CLONE INSTANCE FROM x@'127.0.0.1':3306 IDENTIFIED BY 'x'",
    ],
)
def test_root_has_no_right_outside_of_the_data(root: Any, statement: str) -> None:
    with pytest.raises(pymysql.MySQLError):
        root(statement)


def test_what_root_gives_itself_it_loses(served: Guest, root: Any) -> None:
    """By the tables, and by GRANT: who may grant at all may grant any right with a name of its
    own."""
    root("UPDATE mysql.user SET File_priv = 'Y' WHERE User = 'root' AND Host = '%'")
    root("FLUSH PRIVILEGES")
    root("GRANT SYSTEM_VARIABLES_ADMIN ON *.* TO root")

    def lost() -> bool:
        grants = " ".join(str(row[0]) for row in root("SHOW GRANTS"))
        return "FILE" not in grants and "SYSTEM_VARIABLES_ADMIN" not in grants

    wait_for(lost)
    said = [text for kind, text in served.events() if kind == "repaired"]
    assert any("had rights outside the database" in each for each in said)


def test_the_agents_account_is_put_right(served: Guest, as_agent: Any) -> None:
    account = f"`{agent_account()}`@localhost"
    as_agent(f"ALTER USER {account} WITH MAX_USER_CONNECTIONS 7")
    query = f"SELECT max_user_connections FROM mysql.user WHERE User = '{agent_account()}'"
    wait_for(lambda: as_agent(query) == [(0,)])


def test_a_role_is_no_user(served: Guest, as_agent: Any) -> None:
    as_agent("CREATE ROLE reader")
    try:
        names = [each["name"] for each in served.ask("list_users")["users"]]
        assert names == ["alice"]
    finally:
        as_agent("DROP ROLE reader")


def test_nobody_gets_in_without_a_password(served: Guest) -> None:
    """The server is made with a root that has none."""
    data = served.server.volume / "data"
    for user in ("mysql", "mysql.session", "nobody"):
        with pytest.raises(pymysql.MySQLError):
            pymysql.connect(unix_socket=str(data / SOCKET), user=user)
    for user in ("root", agent_account()):
        with pytest.raises(pymysql.MySQLError):
            served.login(user, "")


def test_the_redo_log_takes_an_eighth_of_a_small_volume_at_most(
    served: Guest, as_agent: Callable[[str], list[Any]]
) -> None:
    """Also for a server whose memory wants a larger one: the bound is a size that MySQL takes as it
    is, and what its files have on the volume."""
    name = ENGINE.log
    assert name is not None
    ((before,),) = as_agent(f"SELECT @@{name}")
    bound = int(ENGINE.chosen_for(64 * 1024, 1)[name])
    assert bound == GIB // LOG_SHARE < int(ENGINE.chosen_for(64 * 1024, 1024)[name])
    as_agent(f"SET GLOBAL {name} = {bound}")
    try:
        resized = f"SHOW STATUS LIKE '{name}_resized'"
        assert wait_for(lambda: int(as_agent(resized)[0][1]) == bound, 60)
        assert as_agent(f"SELECT @@{name}") == [(bound,)]
        files = (served.server.volume / "data" / "#innodb_redo").iterdir()
        assert sum(each.stat().st_size for each in files) <= bound
    finally:
        as_agent(f"SET GLOBAL {name} = {before}")


def test_a_session_gives_a_query_up() -> None:
    bounded = sql.Session._bounded(None, "SELECT 1 UNION SELECT 2", 1.5)  # type: ignore[arg-type]
    assert bounded == "SELECT /*+ MAX_EXECUTION_TIME(1500) */ 1 UNION SELECT 2"
    assert set(superuser.WITHHELD.values()) >= {"FILE", "SUPER", "SHUTDOWN"}
