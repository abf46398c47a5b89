"""What keeps a customer inside the server: files, rights, and the agent's own way in."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pymysql
import pytest

from chalicelib.engines import mariadb
from guest_agent.datastores import error_log, processes
from guest_agent.datastores.mariadb import configuration
from guest_agent.datastores.mariadb.layout import Layout
from guest_agent.datastores.mariadb.server import MariaDBServer
from guest_agent.datastores.os_user import OsUser, database_user
from guest_agent.errors import GuestError
from tests.guest_agent.control_plane import wait_for
from tests.guest_agent.datastores.conftest import Guest, config
from tests.guest_agent.server import ask_prepare

pytestmark = pytest.mark.database
only_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root has something to lose")
ROOT = {"user": "root", "password": "root-secret"}


@pytest.fixture
def rooted(guest: Guest) -> Guest:
    """A server whose customer has root."""
    guest.prepare()
    guest.ask("enable_root", {"root_password": ROOT["password"]})
    return guest


@pytest.fixture
def secret(tmp_path: Path) -> Iterator[Path]:
    """A file of the operating system's superuser, which must stay as it is."""
    made = tmp_path / "secret"
    made.write_text("[ERROR] root's own\n")
    made.chmod(0o600)
    before = made.stat()
    yield made
    after = made.stat()
    assert made.read_text() == "[ERROR] root's own\n"
    assert (after.st_uid, after.st_mode, after.st_ino) == (
        before.st_uid,
        before.st_mode,
        before.st_ino,
    )


@only_root
@pytest.mark.parametrize("way", [os.symlink, os.link], ids=["symbolic", "hard"])
def test_an_error_log_that_is_a_link_is_replaced(
    tmp_path: Path, secret: Path, way: Callable[[Path, Path], None]
) -> None:
    user = database_user("mysql", Path("/"))
    told = MariaDBServer(config(tmp_path), "/volume").log
    log = told.path
    user.make_folder(log.parent)
    way(secret, log)
    os.close(error_log.open_for(log, user))
    assert log.stat().st_uid == user.uid
    assert log.parent.stat().st_uid == 0, "what is in the folder is not the database's to change"
    log.unlink()
    way(secret, log)
    assert told.first_error() is None


@only_root
def test_a_folder_that_is_a_link_is_not_given_away(tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.mkdir(mode=0o700)
    (tmp_path / "tmp").symlink_to(other)
    user = OsUser("mysql", 23_456, 23_456, switch=True)
    with pytest.raises(Exception, match="not the folder it should be"):
        user.make_folder(tmp_path / "tmp")
    assert other.stat().st_uid == 0


@only_root
def test_the_folder_for_files_of_sql_is_taken_from_the_databases_user(tmp_path: Path) -> None:
    """Debian's package of MySQL makes one of that name, for that user."""
    layout = Layout(tmp_path, tmp_path / "volume")
    layout.exchange.mkdir(mode=0o755, parents=True)
    os.chown(layout.exchange, 23_456, 23_456)
    configuration.write(layout, "127.0.0.1", mariadb.template(512), {})
    found = layout.exchange.stat()
    assert (found.st_uid, found.st_mode & 0o777) == (0, 0o700)
    layout.exchange.rmdir()
    layout.exchange.symlink_to(tmp_path)
    with pytest.raises(GuestError, match="not the folder it should be"):
        configuration.write(layout, "127.0.0.1", mariadb.template(512), {})


@only_root
def test_a_restart_gives_away_nothing_that_is_not_the_databases(guest: Guest, secret: Path) -> None:
    """Every file that the database's user could reach, one after the other, is such a link."""
    guest.prepare()
    log = guest.server.root / "var/log/mysql/error.log"
    log.unlink()
    log.symlink_to(secret)
    for place in (guest.server.volume / "data").iterdir():
        assert not place.is_symlink()
    (guest.server.volume / "data/planted").symlink_to(secret)
    guest.ask("restart")
    assert not log.is_symlink()
    assert guest.rows("SELECT 1") == [(1,)]


@only_root
def test_the_socket_of_another_server_is_not_taken_for_the_own(guest: Guest) -> None:
    """The superuser would be let in there too."""
    guest.prepare()
    real = guest.server.volume / "data/mariadbd.sock"
    real.unlink()
    with socket.socket(socket.AF_UNIX) as other:
        other.bind(str(real))
        other.listen()
        assert guest.refusal("list_users") == (
            "Unavailable",
            "the database's socket belongs to somebody else",
        )


def test_root_has_the_database_and_no_file(rooted: Guest) -> None:
    rooted.rows("CREATE DATABASE mine", **ROOT)
    rooted.rows("CREATE TABLE mine.t (id INT)", **ROOT)
    rooted.rows("CREATE USER 'app'@'%' IDENTIFIED BY 'p'", **ROOT)
    rooted.rows("GRANT ALL PRIVILEGES ON mine.* TO 'app'@'%'", **ROOT)
    assert rooted.rows("SELECT * FROM mine.t", user="app", password="p") == []
    for statement in (
        "SELECT LOAD_FILE('/etc/hostname') FROM mysql.nothing",
        "SELECT 'x' INTO OUTFILE '/tmp/coffer-outfile'",
        "LOAD DATA INFILE '/etc/hostname' INTO TABLE mine.t",
        "SET GLOBAL general_log_file = '/tmp/coffer-general.log'",
        "SET GLOBAL require_secure_transport = ON",
        "GRANT FILE ON *.* TO 'app'@'%'",
        "GRANT SUPER ON *.* TO 'root'@'%'",
        "GRANT ALL PRIVILEGES ON *.* TO 'app'@'%'",
        "CREATE DEFINER = 'root'@'localhost' PROCEDURE mine.p() SELECT 1",
        "SHUTDOWN",
    ):
        with pytest.raises(pymysql.MySQLError):
            rooted.rows(statement, **ROOT)
    assert rooted.as_agent("SELECT @@local_infile, LOAD_FILE('/etc/hostname')") == [(0, None)]


def _have_told(guest: Guest, events: list[tuple[str, str]]) -> bool:
    return guest.events() == events


def test_rights_that_were_taken_back_by_force_are_lost_again(rooted: Guest) -> None:
    lost = ("repaired", "the account 'root' had rights outside the database, and has lost them")
    past_read_only = "JSON_VALUE(Priv, '$.access') | 8589934592"
    for count, rights in enumerate(("549755813887", past_read_only), start=1):
        rooted.rows(
            f"UPDATE mysql.global_priv SET Priv = JSON_SET(Priv, '$.access', {rights})"
            " WHERE User = 'root' AND Host = '%'",
            **ROOT,
        )
        rooted.rows("FLUSH PRIVILEGES", **ROOT)
        wait_for(partial(_have_told, rooted, [lost] * count))
    for setting in ("general_log = ON", "read_only = OFF"):
        with pytest.raises(pymysql.MySQLError):
            rooted.rows(f"SET GLOBAL {setting}", **ROOT)
    assert rooted.rows("SELECT 1", **ROOT) == [(1,)]


@pytest.mark.parametrize(
    "harm",
    [
        "DROP USER 'root'@'localhost'",
        "ALTER USER 'root'@'localhost' IDENTIFIED BY 'taken'",
        "RENAME USER 'root'@'localhost' TO 'taken'@'%'",
        "ALTER USER 'root'@'localhost' ACCOUNT LOCK",
    ],
)
@only_root
def test_the_agents_account_is_put_right_at_once(rooted: Guest, harm: str) -> None:
    pid = rooted.server.database()
    rooted.rows(harm, **ROOT)
    assert rooted.ask("is_root_enabled") == {"enabled": True}
    assert rooted.server.database() == pid, "without a restart"
    wait_for(lambda: any(kind == "repaired" for kind, _ in rooted.events()))


@only_root
def test_an_agent_that_is_locked_out_restarts_the_database_to_get_in(rooted: Guest) -> None:
    rooted.server.kill_agent()  # with the session that could have put it right
    rooted.rows("DROP USER 'root'@'localhost'", **ROOT)
    pid = rooted.server.database()
    rooted.server.start_agent()
    wait_for(lambda: rooted.server.database() not in (pid, None))
    wait_for(lambda: rooted.statuses()[-1:] == ["healthy"])
    assert rooted.ask("is_root_enabled") == {"enabled": True}


def test_no_root_is_left_when_it_is_disabled(rooted: Guest) -> None:
    session = rooted.login(**ROOT)
    with session.cursor() as cursor:
        for host in ("10.%", "127.0.0.1", "127.%"):
            cursor.execute(f"CREATE USER 'root'@'{host}' IDENTIFIED BY 'p'")
    other = rooted.login("alice")
    rooted.ask("disable_root")
    assert rooted.ask("is_root_enabled") == {"enabled": False}
    with pytest.raises(pymysql.MySQLError), session.cursor() as cursor:
        cursor.execute("SELECT 1")
    with other, other.cursor() as cursor:
        assert cursor.execute("SELECT 1")
    for password in (ROOT["password"], "p"):
        with pytest.raises(pymysql.MySQLError):
            rooted.login("root", password)
    assert rooted.as_agent("SELECT Host FROM mysql.user WHERE User = 'root'") == [("localhost",)]


@pytest.mark.parametrize(
    ("name", "host"),
    [
        ("odd", "127.0.0.0/255.0.0.0"),
        ("odd", "DB-Client.Example"),
        ("mysql", "%"),
        ("os_admin", "%"),
        ("per%cent'`\\", "127.%"),
    ],
)
def test_what_sql_can_make_can_be_shown_and_taken_away(rooted: Guest, name: str, host: str) -> None:
    with rooted.login(**ROOT) as root, root.cursor() as cursor:
        cursor.execute("CREATE USER %s@%s IDENTIFIED BY 'p'", (name, host))
        cursor.execute("GRANT SELECT ON shop.* TO %s@%s", (name, host))
    account = {"username": name, "hostname": host}
    shown = rooted.ask("get_user", account)["user"]
    assert (shown["name"], shown["host"]) == (name, host.lower())
    assert shown["databases"] == [{"name": "shop"}]
    assert shown in rooted.ask("list_users")["users"]
    rooted.ask("revoke_access", account | {"database": "shop"})
    rooted.ask("grant_access", account | {"databases": ["shop"]})
    rooted.ask("delete_user", {"user": {"name": name, "host": host}})
    assert rooted.refusal("get_user", account)[0] == "UserNotFound"


WRONG: list[tuple[str, dict[str, Any], str]] = [
    ("create_database", {"databases": [{"name": "new"}, {"name": "shop"}]}, "there is a database"),
    (
        "create_database",
        {"databases": [{"name": "new"}, {"name": "n2", "collate": "utf8mb4_0900_ai_ci"}]},
        "there is no collation 'utf8mb4_0900_ai_ci'",
    ),
    ("create_database", {"databases": [{"name": "new"}, {"name": "new"}]}, "named twice"),
    ("create_database", {"databases": [{"name": "new"}, {"name": "e😀1"}]}, "cannot store"),
    (
        "create_user",
        {"users": [{"name": "new", "password": "p"}, {"name": "e😀1", "password": "p"}]},
        "cannot store",
    ),
    (
        "create_user",
        {"users": [{"name": "new", "password": "p"}, {"name": "new", "password": "p"}]},
        "named twice",
    ),
    (
        "create_user",
        {"users": [{"name": "new", "password": "p"}, {"name": "n2", "password": ""}]},
        "must not be empty",
    ),
    ("grant_access", {"username": "alice", "databases": ["ok", "bad"]}, "there is no database"),
]


@pytest.mark.parametrize(("method", "args", "said"), WRONG)
def test_a_list_is_done_as_a_whole_or_not_at_all(
    shared: Guest, method: str, args: dict[str, Any], said: str
) -> None:
    shared.ask("create_database", {"databases": [{"name": "ok"}]})
    try:
        before = (shared.ask("list_databases"), shared.ask("list_users"))
        _, message = shared.refusal(method, args)
        assert said in message
        assert "error" not in message, "the server's own words are for the log"
        assert (shared.ask("list_databases"), shared.ask("list_users")) == before
    finally:
        shared.ask("delete_database", {"database": {"name": "ok"}})


def test_what_fails_in_the_middle_is_undone(shared: Guest) -> None:
    """Another session holds what the second of two statements needs."""
    shared.as_agent("CREATE DATABASE held")
    (shared.server.volume / "data/new2").mkdir()  # unknown to every check before
    try:
        before = shared.ask("list_users")
        wanted = [{"name": "new1"}, {"name": "new2"}]
        found, _ = shared.refusal("create_database", {"databases": wanted})
        assert found == "DatabaseAlreadyExists"
        assert "new1" not in [d["name"] for d in shared.ask("list_databases")["databases"]]
        assert shared.ask("list_users") == before
    finally:
        (shared.server.volume / "data/new2").rmdir()
        shared.as_agent("DROP DATABASE held")


def test_a_first_start_that_is_killed_begins_again(guest: Guest) -> None:
    command_id = ask_prepare(guest.control)
    guest.server.start_agent()

    def maker() -> int | None:
        found = guest.server.processes().items()
        return next(
            (pid for pid, line in found if "mariadbd" in line and "--bootstrap" in line), None
        )

    pid = wait_for(maker)
    assert pid
    os.kill(pid, signal.SIGKILL)
    started = wait_for(guest.server.database)
    assert started
    os.kill(started, signal.SIGKILL)
    assert guest.control.answer(command_id).result == {
        "status": "healthy",
        "holds_configuration": True,
    }
    assert guest.rows("SELECT 1", database="shop") == [(1,)]


@only_root
def test_a_process_of_somebody_else_is_not_taken_for_the_database(guest: Guest) -> None:
    """Whoever is on the server may start a program with the same argument."""
    guest.prepare()
    argument = f"--defaults-file={guest.server.root / 'etc/mysql/coffer.cnf'}"
    real = guest.server.database()
    owner = database_user("mysql", guest.server.root).uid
    stranger = subprocess.Popen(
        ["sh", "-c", "sleep 60", argument], user=owner + 1, stdin=subprocess.DEVNULL
    )
    try:
        wait_for(lambda: argument.encode() in Path(f"/proc/{stranger.pid}/cmdline").read_bytes())
        assert processes.with_argument(argument, owner) == [real]
    finally:
        stranger.kill()
        stranger.wait()


def test_a_folder_that_shuts_the_way_is_named_to_the_operator_alone(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    shut = tmp_path / "shut"
    (shut / "data").mkdir(parents=True)
    shut.chmod(0o700)
    user = OsUser("mysql", os.getuid() + 1, os.getgid() + 1, switch=True)
    with pytest.raises(GuestError) as refused:
        user.check_can_reach(shut / "data")
    assert str(tmp_path) not in str(refused.value)
    assert "/" not in str(refused.value)
    assert str(tmp_path.parents[-2]) in caplog.text
