"""PostgreSQL's write-ahead log in an archive: what it must carry over, and how it is lost."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Final

import pg8000.native
import pytest

from guest_agent.datastores.log import LogLost
from guest_agent.datastores.postgresql.log import SLOT
from guest_agent.datastores.postgresql.wal import Place
from tests.guest_agent.datastores.archived import Archive, manager_of
from tests.guest_agent.datastores.customer import PASSWORD, Guest
from tests.guest_agent.datastores.test_backups import POSTGRESQL, guest_of

pytestmark = [pytest.mark.database, pytest.mark.xdist_group("log-postgresql")]
WIDE: Final = "(SELECT string_agg(md5(n::text || m::text), '') FROM generate_series(1, 60) m)"
"""What is not stored in less than it has."""


@pytest.fixture(scope="module")
def guest() -> Iterator[Guest]:
    with pytest.MonkeyPatch.context() as patch, guest_of(POSTGRESQL, patch) as made:
        chosen = {"max_prepared_transactions": 7, "synchronous_commit": "off"}
        made.manager.call("update_overrides", {"values": chosen}, lambda _: None)
        made.manager.call("restart", {}, lambda _: None)
        yield made


def prepare(guest: Guest) -> None:
    """The first half of a transaction."""
    connection = pg8000.native.Connection(
        "alice", host=guest.server.address, password=PASSWORD, database="shop", ssl_context=False
    )
    with contextlib.closing(connection):
        connection.run("BEGIN")
        connection.run("INSERT INTO written VALUES (2)")
        connection.run("PREPARE TRANSACTION 'half'")


def slot(guest: Guest, statement: str) -> None:
    """Something about the slot, as only the agent may."""
    with manager_of(guest)._session() as session:
        session.rows(statement, SLOT)


def test_what_a_log_carries_is_there_again(guest: Guest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Definitions, what was prepared, more than a segment, and what was committed without waiting
    for the log, before a death and behind it."""
    archive = Archive(guest)
    copy = archive.copy()
    guest.ask(f"CREATE TABLE big AS SELECT n, {WIDE} FROM generate_series(1, 9000) n")
    assert archive.send() >= 2, "more than a segment"
    guest.write()
    archive.send()
    guest.kill()
    guest.manager.start_again()
    assert guest.rows() == 1, "what was sent is durable"
    guest.write()
    prepare(guest)
    archive.send()
    guest.ask("COMMIT PREPARED 'half'")
    archive.send()
    moment = archive.until_ms + 1  # the commit may have been later within its millisecond
    with archive.restored(copy, moment, monkeypatch) as again:
        assert again.rows() == 3
        assert again.ask("SELECT count(*) FROM big") == 9000
        assert not (again.server.volume / "data/recovery.signal").exists()
        assert Archive(again).position.startswith("2:"), "a timeline of its own"


def test_one_whose_slot_is_gone_is_lost_and_another_begins(guest: Guest) -> None:
    archive = Archive(guest)
    guest.write()
    slot(guest, "SELECT pg_drop_replication_slot($1)")
    with pytest.raises(LogLost, match="the replication slot"):
        archive.send()
    again = Archive(guest)
    again.position = "1:0/1000000"
    with pytest.raises(LogLost, match="more was written"):
        again.send()
    guest.write()
    assert Archive(guest).send() == 0
    fresh = Archive(guest)
    guest.write()
    assert fresh.send() == 1


def test_what_is_sent_is_kept_no_longer(guest: Guest) -> None:
    archive = Archive(guest)
    guest.write()
    assert archive.log.waiting(archive.position) > 0
    archive.send()
    assert archive.log.waiting(archive.position) == 0
    archive.log.forget()
    archive.log.forget()
    with pytest.raises(LogLost):
        archive.send()


def test_a_slot_never_keeps_more_than_its_share_and_one_that_is_lost_is_made_anew(
    guest: Guest,
) -> None:
    archive = Archive(guest)
    session = manager_of(guest)._session
    with session() as asked:
        asked.run("ALTER SYSTEM SET max_slot_wal_keep_size = '1MB'")
        asked.rows("SELECT pg_reload_conf()")
    try:
        for _ in range(4):
            guest.write()
            with session() as asked:
                asked.rows("SELECT pg_switch_wal()")
        with session() as asked:
            asked.run("CHECKPOINT")
            ((status,),) = asked.rows(
                "SELECT wal_status FROM pg_replication_slots WHERE slot_name = $1", SLOT
            )
        assert status == "lost"
        with pytest.raises(LogLost, match="more was written"):
            archive.send()
    finally:
        with session() as asked:
            asked.run("ALTER SYSTEM RESET max_slot_wal_keep_size")
            asked.rows("SELECT pg_reload_conf()")
    fresh = Archive(guest)
    guest.write()
    assert fresh.send() == 1


def test_what_a_database_without_writes_has_sent_goes(guest: Guest) -> None:
    """A checkpoint removes it, and none is made where nothing is written."""
    archive = Archive(guest)
    folder = guest.server.volume / "data/pg_wal"
    before = archive.position
    with manager_of(guest)._session() as session:
        session.rows("SELECT pg_switch_wal()")
    guest.write()
    server = manager_of(guest)._life.server
    with manager_of(guest)._session() as session:
        server.refuse_writes(session)
    segment = Place.of(before).segment
    assert (folder / segment).exists()
    archive.send()
    assert not (folder / segment).exists()
    with manager_of(guest)._session() as session:
        server.take_writes(session)
    guest.write()
    assert archive.send() == 1
