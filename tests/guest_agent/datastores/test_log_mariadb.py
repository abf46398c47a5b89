"""MariaDB's log in an archive: what it must carry over, who may not touch it, how it is lost."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing, contextmanager
from typing import Any, Final

import pymysql
import pytest

from chalicelib.service_status import ServiceStatus as Status
from guest_agent.datastores.log import LogLost
from guest_agent.datastores.mariadb.layout import SOCKET
from guest_agent.datastores.mariadb.replay import ROUND_MS
from guest_agent.datastores.os_user import agent_account
from tests.guest_agent.control_plane import wait_for
from tests.guest_agent.datastores.archived import Archive, manager_of
from tests.guest_agent.datastores.customer import PASSWORD, Guest
from tests.guest_agent.datastores.numbered import numbering
from tests.guest_agent.datastores.test_backups import MARIADB, guest_of

pytestmark = [pytest.mark.database, pytest.mark.xdist_group("log-mariadb")]
BIG: Final = 3_000
"""Rows of ten thousand bytes in one transaction: two pieces of a log."""
MAKES: Final = (
    "CREATE TABLE audit (id INT AUTO_INCREMENT PRIMARY KEY, t VARCHAR(200)) CHARSET utf8mb4",
    "CREATE TRIGGER noted AFTER INSERT ON numbered FOR EACH ROW"
    " INSERT INTO audit (t) VALUES (CONCAT('ü€😀 ', NEW.n))",
    "CREATE TABLE half (t TEXT)",
    "CREATE TABLE big (a INT PRIMARY KEY, b LONGTEXT)",
)
SAYS: Final = (
    "CREATE TABLE latin (t TEXT) CHARSET latin1 ENGINE Aria",
    "INSERT INTO latin VALUES ('Grüße'), ('naïve')",
    "INSERT INTO numbered VALUES (-1, 'seen by the trigger')",
    "SET STATEMENT timestamp = 2000000000 FOR INSERT INTO audit (t) VALUES ('of the year 2033')",
    "SET STATEMENT timestamp = 1 FOR INSERT INTO audit (t) VALUES ('of the year 1970')",
    f"INSERT INTO big SELECT seq, REPEAT('x', 10000) FROM seq_1_to_{BIG}",
    "ALTER TABLE big ADD COLUMN c INT DEFAULT 7",
    "CREATE TABLE made AS SELECT * FROM audit",
    "CREATE EVENT hourly ON SCHEDULE EVERY 1 HOUR DO DELETE FROM latin",
    "CREATE SEQUENCE counted",
    "SELECT NEXTVAL(counted)",
)
TABLES: Final = ("numbered", "half", "audit", "latin", "big", "made")


class Customer:
    """A connection that lasts: somebody's of the customer, or the agent's by the socket."""

    def __init__(self, guest: Guest, user: str = "alice", *, local: bool = False) -> None:
        options: dict[str, Any] = {"host": guest.server.address, "password": PASSWORD}
        if local:
            options = {"unix_socket": str(guest.server.volume / "data" / SOCKET)}
        if user != "root":
            options["database"] = "shop"
        self._connection = pymysql.connect(user=user, charset="utf8mb4", autocommit=True, **options)

    def ask(self, *statements: str) -> list[tuple[Any, ...]]:
        """The rows of the last one."""
        with self._connection.cursor() as cursor:
            for statement in statements:
                cursor.execute(statement)
            return list(cursor.fetchall())

    def close(self) -> None:
        self._connection.close()


@contextmanager
def customer(guest: Guest, user: str = "alice") -> Iterator[Customer]:
    with closing(Customer(guest, user)) as made:
        yield made


@contextmanager
def agent_of(guest: Guest) -> Iterator[Customer]:
    with closing(Customer(guest, agent_account(), local=True)) as made:
        yield made


@pytest.fixture(scope="module")
def guest() -> Iterator[Guest]:
    with pytest.MonkeyPatch.context() as patch, guest_of(MARIADB, patch) as made:
        made.manager.call("enable_root", {"root_password": PASSWORD}, lambda _: None)
        yield made


def test_what_a_log_carries_is_there_again(guest: Guest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Triggers once, any alphabet, definitions, events, times that are made up, a transaction in
    two pieces, XA transactions in every state, and what was written behind a death."""
    archive = Archive(guest)
    with numbering(guest):
        pass
    with customer(guest) as alice, customer(guest) as other:
        alice.ask(*MAKES)
        other.ask("XA START 'long'", "INSERT INTO half VALUES ('long')", "XA END 'long'")
        other.ask("XA PREPARE 'long'")
        copy = archive.copy()
        alice.ask(*SAYS)
        other.ask("XA COMMIT 'long'")
        assert archive.send() >= 2, "a transaction in two pieces"
    before = held_of(guest)
    guest.kill()
    guest.manager.start_again()
    with customer(guest) as alice, customer(guest) as other:
        alice.ask("INSERT INTO audit (t) VALUES ('behind a death')")
        archive.send()
        other.ask("XA START 'left'", "INSERT INTO half VALUES ('left')", "XA END 'left'")
        other.ask("XA PREPARE 'left'")
        archive.send()
        then = held_of(guest)
        assert then != before
        moment = archive.until_ms + ROUND_MS
        with archive.restored(copy, moment, monkeypatch) as again:
            assert held_of(again) == then
            with customer(again) as alice:
                assert alice.ask("SELECT status FROM information_schema.events") == [("ENABLED",)]
            with agent_of(again) as agent:
                assert [row[3] for row in agent.ask("XA RECOVER")] == [b"left"]
                assert agent.ask("SELECT @@gtid_slave_pos") == [("",)]
                assert not agent.ask("SHOW SLAVE STATUS")
                assert agent.ask("SELECT @@log_bin") == [(0,)]
        other.ask("XA ROLLBACK 'left'")


def held_of(guest: Guest) -> list[tuple[Any, ...]]:
    """Sums of all that is in the tables."""
    with customer(guest) as alice:
        return [alice.ask(f"CHECKSUM TABLE {name}")[0] for name in TABLES]


@pytest.mark.parametrize(
    "statement",
    [
        "SET SESSION sql_log_bin = 0",
        "SET SESSION binlog_format = STATEMENT",
        "SET GLOBAL binlog_expire_logs_seconds = 1",
        "PURGE BINARY LOGS BEFORE NOW()",
    ],
)
def test_the_customers_root_changes_nothing_about_it(guest: Guest, statement: str) -> None:
    with customer(guest, "root") as root, pytest.raises(pymysql.MySQLError, match="BINLOG ADMIN"):
        root.ask(statement)


def test_one_who_gave_itself_the_right_loses_it(guest: Guest) -> None:
    with customer(guest, "root") as root:
        root.ask(
            "CREATE OR REPLACE USER eve",
            "UPDATE mysql.global_priv SET Priv = JSON_SET(Priv, '$.access', 1 << 36)"
            " WHERE User = 'eve'",
            "FLUSH PRIVILEGES",
        )
        assert "BINLOG ADMIN" in root.ask("SHOW GRANTS FOR eve")[0][0]
        manager_of(guest)._life.secure()
        assert "BINLOG ADMIN" not in root.ask("SHOW GRANTS FOR eve")[0][0]


def test_one_that_was_reset_is_lost_and_another_begins(guest: Guest) -> None:
    archive = Archive(guest)
    archive.send()
    with customer(guest, "root") as root:
        root.ask("RESET MASTER")
    with pytest.raises(LogLost):
        archive.send()
    assert Archive(guest).send() == 1


def test_one_whose_file_is_another_is_lost(guest: Guest) -> None:
    """Of the same name, and as long: the bytes before the position tell."""
    archive = Archive(guest)
    guest.write()
    archive.send()
    name, offset, mark = archive.position.split(":")
    archive.position = f"{name}:{offset}:{'0' * len(mark)}"
    with pytest.raises(LogLost, match="begun anew"):
        archive.send()


def test_a_file_that_is_gone_is_told_and_the_database_starts(guest: Guest) -> None:
    archive = Archive(guest)
    guest.write()
    archive.send()
    with agent_of(guest) as agent:  # or it looks for the end of the last commit in that file
        agent.ask("FLUSH ENGINE LOGS")
    (guest.server.volume / "binlog" / archive.position.split(":")[0]).unlink()
    guest.kill()
    guest.manager.start_again()
    assert guest.status() is Status.HEALTHY
    with pytest.raises(LogLost):
        archive.send()
    assert Archive(guest).send() == 1


def test_a_server_that_is_rebuilt_goes_on_with_it(guest: Guest) -> None:
    """From its first start, whenever it is told that the log is wanted."""
    archive = Archive(guest)
    guest.kill()
    (guest.server.root / "etc/mysql/coffer.d/90-log.cnf").unlink()
    guest.manager.start_again()
    guest.write()
    assert archive.send() >= 1
    assert archive.log.keep()


def test_what_nobody_wants_any_more_goes(guest: Guest) -> None:
    archive = Archive(guest)

    def forgotten() -> bool:
        """The server keeps those that its recovery may need, until it has noted otherwise."""
        archive.log.forget()
        return len(list((guest.server.volume / "binlog").glob("binlog.0*"))) == 1

    wait_for(forgotten)
    guest.manager.call("restart", {}, lambda _: None)
    with pytest.raises(LogLost, match="without its binary log"):
        archive.log.begin()
    archive.log.forget()
    assert not (guest.server.volume / "binlog").exists()
    assert not archive.log.keep(), "it waits for a start"


def test_what_a_database_without_writes_has_sent_goes(guest: Guest) -> None:
    """Also of the file that it would go on with."""
    archive = Archive(guest)
    guest.ask("CREATE TABLE wide (a LONGTEXT)")
    guest.ask("INSERT INTO wide SELECT REPEAT('x', 1048576) FROM seq_1_to_20")
    server = manager_of(guest)._life.server
    with manager_of(guest)._session() as session:
        server.refuse_writes(session)
    files = guest.server.volume / "binlog"

    def is_small() -> bool:
        """A file goes when the server has noted in the next one that it needs it no more."""
        archive.send()
        return sum(each.stat().st_size for each in files.iterdir()) < 1 << 20

    assert wait_for(is_small)
    with manager_of(guest)._session() as session:
        server.take_writes(session)
    guest.write()
    assert archive.send() == 1
