"""What changes between the backups of a chain, other than rows: a restore has it as it was."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import pymysql
import pytest

from chalicelib import aws
from guest_agent.backups.beside import Beside
from guest_agent.datastores import tool
from guest_agent.datastores.mariadb import copies as of_mariadb
from guest_agent.datastores.postgresql import beside, configuration, wal
from guest_agent.datastores.postgresql.beside import LogBeside
from guest_agent.datastores.postgresql.copies import SLOT, PostgreSQLCopies
from guest_agent.datastores.postgresql.layout import Layout
from guest_agent.datastores.postgresql.manager import PostgreSQLManager
from guest_agent.datastores.redis import copies
from guest_agent.datastores.redis.copies import RedisCopies
from guest_agent.datastores.session import NotListening
from guest_agent.errors import GuestError, Unavailable
from tests.guest_agent.datastores.customer import PASSWORD, Guest
from tests.guest_agent.datastores.test_backups import (
    MARIADB,
    POSTGRESQL,
    REDIS,
    Backups,
    guest_of,
    restored,
)

pytestmark = pytest.mark.database
SMALL = 64 * 1024
"""Of a copy: how much comes at once is the tool's, and the pipe's."""


def as_root(guest: Guest, *statements: str) -> list[tuple[Any, ...]]:
    """What the last of them answers."""
    with (
        pymysql.connect(
            host=guest.server.address, user="root", password=PASSWORD, autocommit=True
        ) as connection,
        connection.cursor() as cursor,
    ):
        for statement in statements:
            cursor.execute(statement)
        return list(cursor.fetchall())


def test_databases_and_tables_that_come_and_go_between_two_backups(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Their names may be like those of the files that the tool leaves beside them."""
    backups = Backups()
    with guest_of(MARIADB, monkeypatch) as guest:
        guest.manager.call("enable_root", {"root_password": PASSWORD}, lambda _: None)
        as_root(
            guest,
            "CREATE DATABASE dropped",
            "CREATE TABLE dropped.t (a INT) ENGINE=InnoDB",
            "CREATE DATABASE xtrabackup_shop",
            "CREATE TABLE xtrabackup_shop.t (a INT)",
            "INSERT INTO xtrabackup_shop.t VALUES (1)",
            "CREATE TABLE shop.again (a INT)",
            "INSERT INTO shop.again VALUES (1), (2)",
            "CREATE TABLE shop.cut (a INT)",
            "INSERT INTO shop.cut VALUES (1), (2)",
            "CREATE TABLE shop.before (a INT)",
            "INSERT INTO shop.before VALUES (1), (2)",
            "CREATE TABLE shop.aria (a INT) ENGINE=Aria",
        )
        full = backups.create(guest)
        as_root(
            guest,
            "DROP DATABASE dropped",
            "CREATE DATABASE mariadb_backup_made",
            "CREATE TABLE mariadb_backup_made.t (a INT)",
            "INSERT INTO mariadb_backup_made.t VALUES (7)",
            "DROP TABLE shop.again",
            "CREATE TABLE shop.again (a INT, b INT)",
            "INSERT INTO shop.again VALUES (3, 4)",
            "TRUNCATE shop.cut",
            "INSERT INTO shop.cut VALUES (9)",
            "RENAME TABLE shop.before TO shop.after",
            "INSERT INTO shop.aria VALUES (5)",
        )
        backups.create(guest, full)
        there = as_root(guest, "SHOW DATABASES")
    with restored(backups, MARIADB, backups.made, monkeypatch) as guest:
        assert as_root(guest, "SHOW DATABASES") == there
        for table, rows in {
            "xtrabackup_shop.t": [(1,)],
            "mariadb_backup_made.t": [(7,)],
            "shop.again": [(3, 4)],
            "shop.cut": [(9,)],
            "shop.after": [(1,), (2,)],
            "shop.aria": [(5,)],
        }.items():
            assert as_root(guest, f"SELECT * FROM {table} ORDER BY 1") == rows, table
        assert as_root(guest, "SHOW TABLES IN shop LIKE 'before'") == []
        assert as_root(guest, "CHECK TABLE shop.again, shop.cut, shop.after")[0][3] == "OK"


def of_postgresql(guest: Guest) -> PostgreSQLManager:
    assert isinstance(guest.manager, PostgreSQLManager)
    return guest.manager


def lose_log(guest: Guest, slot: str = SLOT) -> None:
    """As when a database has written more than is kept for an increment."""
    with of_postgresql(guest)._session() as session:
        session.rows("SELECT pg_drop_replication_slot($1)", slot)


def test_log_of_postgresql_that_was_not_kept_until_it_was_read_is_no_increment(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """PostgreSQL writes it anew, below whoever reads; a full backup does not need it."""
    backups, hand_over = Backups(), LogBeside.hand_over

    def slowly(chunks: Iterable[bytes]) -> None:
        for number, _ in enumerate(chunks):
            if number == 1:
                lose_log(guest)

    with guest_of(POSTGRESQL, monkeypatch) as guest:
        full = backups.create(guest)
        guest.write()
        with pytest.raises(GuestError, match="not kept any more"):
            of_postgresql(guest)._copies().copy(slowly, full, aws.event())
        completed = PostgreSQLCopies.completed

        def too_late(self: LogBeside, slot: str) -> None:
            lose_log(guest, beside.SLOT)  # while the store hangs on the last part
            with monkeypatch.context() as patch:
                patch.setattr(wal, "drop_lost", lambda *_: True)
                hand_over(self, slot)

        def late(self: PostgreSQLCopies, *args: Any) -> None:
            lose_log(guest)
            completed(self, *args)

        monkeypatch.setattr(LogBeside, "hand_over", too_late)
        monkeypatch.setattr(PostgreSQLCopies, "completed", late)
        assert backups.create(guest).checksum


class Clock:
    """One that goes on when it is told to."""

    def __init__(self) -> None:
        self.now = 0.0

    def monotonic(self) -> float:
        return self.now


def test_log_that_is_written_while_a_full_backup_is_made_needs_no_room_until_its_end(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Several times of what the volume keeps; the database has forgotten the beginning by then, and
    is written to up to the end. An increment can build on it."""
    backups, output, clock = Backups(), tool.output, Clock()
    monkeypatch.setattr(beside, "time", clock)

    def slowly(*args: Any, **more: Any) -> Iterator[bytes]:
        found = output(*args, **more)
        pieces = (each[at : at + SMALL] for each in found for at in range(0, len(each), SMALL))
        for number, piece in enumerate(pieces):
            yield piece
            if number % 20 == 0 and number < 20 * 8:
                clock.now += beside.LOOK_SECONDS
                guest.write()
                with of_postgresql(guest)._session() as session:
                    session.rows("SELECT pg_switch_wal()")
                    session.run("CHECKPOINT")
        guest.write()  # the last segment is not full

    with guest_of(POSTGRESQL, monkeypatch) as guest:
        with of_postgresql(guest)._session() as session:
            session.run("ALTER SYSTEM SET max_slot_wal_keep_size = '48MB'")
            configuration.reload(session)
        with monkeypatch.context() as patch:
            patch.setattr(tool, "output", slowly)
            full = backups.create(guest)
        guest.write()
        backups.create(guest, full)
        with of_postgresql(guest)._session() as session:
            slots = session.rows("SELECT slot_name FROM pg_replication_slots")
        assert slots == [(SLOT,)], "that of the copy is gone with it"
        rows = guest.rows()
    with restored(backups, POSTGRESQL, backups.made, monkeypatch) as guest:
        assert guest.rows() == rows == 10


def test_a_chain_of_a_postgresql_in_which_nothing_happens(monkeypatch: pytest.MonkeyPatch) -> None:
    backups = Backups()
    with guest_of(POSTGRESQL, monkeypatch) as guest:
        guest.write()
        parent = backups.create(guest)
        for _ in range(3):
            parent = backups.create(guest, parent)
        with of_postgresql(guest)._session() as session:
            session.run("CHECKPOINT")
        guest.write()
        backups.create(guest, parent)
    with restored(backups, POSTGRESQL, backups.made, monkeypatch) as guest:
        assert guest.rows() == 2


class Told:
    """A Redis whose words of itself are known."""

    def __init__(self, *words: dict[str, str]) -> None:
        self._words: Iterator[dict[str, str]] = iter(words)

    def __call__(self) -> dict[str, str]:
        return next(self._words)


def test_an_rdb_of_before_a_restart_is_no_backup(monkeypatch: pytest.MonkeyPatch) -> None:
    """What lies on the volume is older than the backup then, and its counter begins again."""
    idle = {"rdb_bgsave_in_progress": "0", "rdb_last_bgsave_status": "ok"}
    before = {"run_id": "a", "rdb_saves": "5", **idle}
    begun_again = {"run_id": "b", "rdb_saves": "0", **idle}
    copies = RedisCopies.__new__(RedisCopies)
    monkeypatch.setattr(copies, "_told", Told(begun_again))
    with pytest.raises(GuestError, match="started again"):
        copies._is_saving(before)


def test_a_script_that_keeps_a_redis_busy_is_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """What may have been written for most of an hour is not given up for it."""
    backups, save = Backups(), RedisCopies._save
    busy = "local t = redis.call('TIME')[1] while redis.call('TIME')[1] - t < 7 do end return 1"

    def beside_a_script(redis: RedisCopies, stop: aws.Event) -> None:
        script = Beside(lambda: guest.ask("", "EVAL", busy, "0"), "script")
        time.sleep(5.5)  # it answers BUSY by now
        save(redis, stop)
        assert script.result() == "1"

    monkeypatch.setattr(RedisCopies, "_save", beside_a_script)
    with guest_of(REDIS, monkeypatch) as guest:
        guest.write()
        backups.create(guest)
    with restored(backups, REDIS, backups.made, monkeypatch) as guest:
        assert guest.rows() == 1


def test_a_redis_that_is_busy_for_good_has_no_backup(monkeypatch: pytest.MonkeyPatch) -> None:
    waited: list[float] = []
    monkeypatch.setattr(aws, "monotonic", lambda: sum(waited))
    monkeypatch.setattr(aws, "wait", lambda _, seconds: waited.append(seconds))
    redis = RedisCopies.__new__(RedisCopies)

    def busy() -> dict[str, str]:
        raise Unavailable("a script keeps the database busy")

    monkeypatch.setattr(redis, "_told", busy)
    with pytest.raises(Unavailable, match="busy"):
        redis._save(aws.event())
    assert sum(waited) == copies.BUSY_SECONDS


def test_a_redis_that_has_ended_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    waited: list[float] = []
    monkeypatch.setattr(aws, "wait", lambda _, seconds: waited.append(seconds))
    redis = RedisCopies.__new__(RedisCopies)

    def ended() -> dict[str, str]:
        raise NotListening("nobody listens")

    monkeypatch.setattr(redis, "_told", ended)
    with pytest.raises(NotListening):
        redis._save(aws.event())
    assert not waited


class Saving:
    """A Redis that begins an RDB of its own just before it is asked for one."""

    def __init__(self) -> None:
        self.asked, self.at_one = 0, "0"

    def told(self) -> dict[str, str]:
        at_one, self.at_one = self.at_one, "0"
        return {
            "run_id": "a",
            "rdb_saves": str(self.asked),
            "rdb_last_bgsave_status": "ok",
            "rdb_bgsave_in_progress": at_one,
        }

    @contextmanager
    def session(self) -> Iterator[Saving]:
        yield self

    def ask(self, *_: str) -> None:
        self.asked += 1
        if self.asked == 1:
            self.at_one = "1"
            raise GuestError("the database refused the command (ERR)")


def test_an_rdb_that_a_redis_begins_by_itself_is_waited_for(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(copies, "LOOK_SECONDS", 0.0)
    server, redis = Saving(), RedisCopies.__new__(RedisCopies)
    monkeypatch.setattr(redis, "_told", server.told)
    monkeypatch.setattr(redis, "session", server.session, raising=False)
    redis._save(aws.event())
    assert server.asked == 2


def test_a_lock_that_a_customer_holds_on_to_ends_a_backup_of_mariadb(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """And the next one is made when it is gone."""
    monkeypatch.setattr(of_mariadb, "LOCKED_SECONDS", 2.0)
    monkeypatch.setattr(of_mariadb, "LOOK_SECONDS", 0.5)
    backups = Backups()
    with guest_of(MARIADB, monkeypatch) as guest:
        guest.write()
        guest.manager.call("enable_root", {"root_password": PASSWORD}, lambda _: None)
        with (
            pymysql.connect(
                host=guest.server.address, user="root", password=PASSWORD
            ) as connection,
            connection.cursor() as cursor,
        ):
            cursor.execute("LOCK TABLES shop.written WRITE")
            with pytest.raises(GuestError, match="LOCK TABLES"):
                backups.create(guest)
            cursor.execute("UNLOCK TABLES")
        backups.create(guest)


def bound_of(guest: Guest) -> str:
    with of_postgresql(guest)._session() as session:
        ((said,),) = session.rows("SELECT current_setting('max_slot_wal_keep_size')")
    return str(said)


def test_a_postgresql_that_an_agent_of_before_has_started_keeps_no_log_without_a_bound(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """From the next agent's start on, and not only from the database's."""
    with guest_of(POSTGRESQL, monkeypatch) as guest:
        layout = of_postgresql(guest)._life.server.layout
        assert isinstance(layout, Layout)
        bound, as_it_is = bound_of(guest), layout.config.read_text()
        lines = as_it_is.splitlines(keepends=True)
        layout.config.write_text("".join(each for each in lines if "max_slot_wal" not in each))
        with of_postgresql(guest)._session() as session:
            configuration.reload(session)
        assert bound_of(guest) == "-1"
        pid = guest.server.database()
        guest.renew_agent()
        assert "runs already" in guest.manager.start_up()
        assert (bound_of(guest), guest.server.database()) == (bound, pid)
