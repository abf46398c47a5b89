"""Backups tried out beside the real engines: a good one passes, one of damaged data does not, and
nothing is left of a trial, whatever ends it."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

import msgspec
import pytest

from chalicelib.bus.contract.arguments import StoredBackup
from chalicelib.service_status import ServiceStatus as Status
from guest_agent.datastores import trial
from guest_agent.datastores.postgresql.sql import MAIN, WITH_TRANSACTION_TIMEOUT
from guest_agent.datastores.redis.copies import DUMP, RedisCopies
from guest_agent.errors import CommandFailed
from tests.guest_agent.backups.objects import BUCKET, ONE, Lender, Objects
from tests.guest_agent.control_plane import wait_for
from tests.guest_agent.datastores import conftest
from tests.guest_agent.datastores.archived import manager_of
from tests.guest_agent.datastores.customer import Engine, Guest, Refused
from tests.guest_agent.datastores.test_backups import (
    CHAINS,
    MARIADB,
    POSTGRESQL,
    REDIS,
    Asked,
    Backups,
    Stalled,
    guest_of,
)
from tests.guest_agent.server import Server
from tests.support import damage, postgresql

pytestmark = pytest.mark.database
PAGE: Final = {"mariadb": 16_384, "postgresql": 8_192}
PRIORITY: Final = 1
"""Behind all others a trial beside other tests would have no turn for minutes."""
LONG_SECONDS: Final = 500.0
"""For one that is behind all others, as an agent of its own has it."""


@pytest.fixture(autouse=True)
def _in_turn(monkeypatch: pytest.MonkeyPatch) -> None:
    assert trial.NICE == 19, "a database comes first"
    monkeypatch.setattr(trial, "NICE", os.getpriority(os.PRIO_PROCESS, 0) + PRIORITY)


def verify(guest: Guest, chain: list[StoredBackup]) -> dict[str, Any]:
    return guest.manager.call("verify_backup", wanted(chain), lambda _: None)


def wanted(chain: list[StoredBackup]) -> dict[str, Any]:
    return {"chain": msgspec.to_builtins(chain)}


def at_work(server: Server) -> list[int]:
    """Who works on a trial."""
    return [pid for pid, line in server.processes().items() if "/trial/" in line]


def nothing_is_left(server: Server) -> bool:
    return not at_work(server) and not (server.volume / "trial").exists()


@pytest.mark.parametrize(("engine", "length"), CHAINS, ids=[each.manager for each, _ in CHAINS])
def test_a_good_chain_passes_beside_a_database_that_goes_on(
    engine: Engine, length: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    backups = Backups()
    with guest_of(engine, monkeypatch) as guest:
        guest.write()
        for number in range(length):
            backups.create(guest, backups.made[-1] if number else None)
        before = guest.rows()
        assert verify(guest, backups.made) == {"sound": True}
        assert nothing_is_left(guest.server)
        assert guest.status() is Status.HEALTHY
        assert guest.rows() == before


def test_a_damaged_page_is_found_in_a_backup_of_mariadb(monkeypatch: pytest.MonkeyPatch) -> None:
    """One whose sum is right: the copy of one that is not fails by itself."""
    backups = Backups()
    with guest_of(MARIADB, monkeypatch) as guest:
        guest.write()
        table = guest.server.volume / "data/shop/written.ibd"
        _damage(guest, table, lambda page: _summed(_cut(page)))
        told = verify(guest, [backups.create(guest)])
        assert not told["sound"]
        assert "the table `shop`.`written` is damaged" in told["reason"]
        assert nothing_is_left(guest.server)


def test_what_a_customer_has_broken_off_is_no_fault_of_mariadbs_data(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A table of tables of which one was dropped, and one whose data were given up."""
    backups = Backups()
    with guest_of(MARIADB, monkeypatch) as guest:
        guest.write()
        for statement in (
            *("CREATE TABLE part (a int) ENGINE=MyISAM", "CREATE TABLE none (a int)"),
            "CREATE TABLE `all o'f them` (a int) ENGINE=MERGE UNION=(part)",
            *("DROP TABLE part", "ALTER TABLE none DISCARD TABLESPACE"),
        ):
            guest.ask(statement)
        assert verify(guest, [backups.create(guest)]) == {"sound": True}


def test_a_damaged_page_is_found_in_a_backup_of_postgresql(monkeypatch: pytest.MonkeyPatch) -> None:
    backups = Backups()
    with guest_of(POSTGRESQL, monkeypatch) as guest:
        guest.write()
        guest.ask("CREATE INDEX damaged ON written (a)")
        where = str(guest.ask("SELECT pg_relation_filepath('damaged')"))
        _damage(guest, guest.server.volume / "data" / where, lambda page: bytes(len(page)))
        for allowed in ("true", "false"):
            _administer(guest, MAIN, f"ALTER DATABASE shop ALLOW_CONNECTIONS {allowed}")
            told = verify(guest, [backups.create(guest)])
            assert not told["sound"]
            assert "damaged" in told["reason"]
            assert nothing_is_left(guest.server)


def test_an_event_trigger_is_not_run_when_a_backup_is_tried(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    backups = Backups()
    with guest_of(POSTGRESQL, monkeypatch) as guest:
        raises = "CREATE FUNCTION no() RETURNS event_trigger LANGUAGE plpgsql AS"
        _administer(
            guest,
            "shop",
            f"{raises} $$ BEGIN RAISE EXCEPTION 'run'; END $$",
            'CREATE EVENT TRIGGER "No" ON ddl_command_start EXECUTE FUNCTION no()',
        )
        assert verify(guest, [backups.create(guest)]) == {"sound": True}


def test_functions_that_indexes_are_made_with_are_not_run_when_a_backup_is_tried(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """What they find by a search path is not there for whoever has an empty one."""
    backups = Backups()
    with guest_of(POSTGRESQL, monkeypatch) as guest:
        guest.write()
        sql = "(int) RETURNS int LANGUAGE sql IMMUTABLE AS"
        for statement in (
            "CREATE SCHEMA own",
            f"CREATE FUNCTION own.inner{sql} 'SELECT $1 + 1'",
            f"CREATE FUNCTION own.outer{sql} 'SELECT own.inner($1)'",
            'CREATE INDEX "by, it" ON written (own.outer(a))',
            "CREATE INDEX few ON written (a) WHERE own.outer(a) > 3",
            # Since 17 none can be made with that; those of before may have it.
            f"SET search_path = own; CREATE OR REPLACE FUNCTION outer{sql} 'SELECT inner($1)'",
        ):
            guest.ask(statement)
        assert verify(guest, [backups.create(guest)]) == {"sound": True}
        where = str(guest.ask("SELECT pg_relation_filepath('few')"))
        _damage(guest, guest.server.volume / "data" / where, lambda page: bytes(len(page)))
        told = verify(guest, [backups.create(guest)])
        assert not told["sound"]
        assert "few" in told["reason"]


def test_what_is_set_for_a_database_is_no_fault_of_its_data(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    backups = Backups()
    with guest_of(POSTGRESQL, monkeypatch) as guest:
        guest.write()
        guest.ask('CREATE TABLE "kein Latin1: 表" (a int)')
        guest.ask('INSERT INTO "kein Latin1: 表" VALUES (1)')
        chosen = "maintenance_work_mem = '1GB'", "default_transaction_read_only = on"
        guest.ask("; ".join(f"ALTER DATABASE shop SET {setting}" for setting in chosen))
        with pytest.raises(Refused):
            guest.write()
        lock_out = ["client_encoding = LATIN1", "local_preload_libraries = nowhere"]
        if int(postgresql.MAJOR) >= WITH_TRANSACTION_TIMEOUT:
            lock_out.append("transaction_timeout = 1")
        for setting in lock_out:
            _administer(guest, MAIN, f"ALTER DATABASE shop SET {setting}")
        assert verify(guest, [backups.create(guest)]) == {"sound": True}


def test_a_damaged_rdb_is_found_in_a_backup_of_redis(monkeypatch: pytest.MonkeyPatch) -> None:
    backups, save = Backups(), RedisCopies._save

    def damaging(copies: RedisCopies, *rest: Any) -> None:
        save(copies, *rest)
        dump = copies.server.layout.data / DUMP
        content = dump.read_bytes()
        dump.write_bytes(content[:-20] + bytes(8) + content[-12:])

    with guest_of(REDIS, monkeypatch) as guest:
        guest.write()
        monkeypatch.setattr(RedisCopies, "_save", damaging)
        told = verify(guest, [backups.create(guest)])
        assert not told["sound"]
        assert "redis-check-rdb ended with 1" in told["reason"]
        assert nothing_is_left(guest.server)


def test_what_keeps_it_from_being_tried_is_no_verdict(monkeypatch: pytest.MonkeyPatch) -> None:
    backups = Backups()
    with guest_of(MARIADB, monkeypatch) as guest:
        made = [backups.create(guest)]
        _without_room(guest, made, monkeypatch)
        _killed_by_somebody(guest, made)
        _cancelled(guest, made, backups)
        backups.connect(guest.manager)
        assert verify(guest, made)["sound"]
        _changed_in_the_store(guest, made, backups)


def _without_room(guest: Guest, made: list[StoredBackup], patch: pytest.MonkeyPatch) -> None:
    with patch.context() as inner:
        inner.setattr(trial, "ENGINE_BYTES", 1 << 50)
        with pytest.raises(CommandFailed, match="the volume has no room for it beside"):
            verify(guest, made)
    assert nothing_is_left(guest.server)


def _killed_by_somebody(guest: Guest, made: list[StoredBackup]) -> None:
    asked = Asked(guest.manager, "verify_backup", wanted(made))
    pid = wait_for(lambda: at_work(guest.server))[0]
    assert os.getpriority(os.PRIO_PROCESS, pid) == trial.NICE
    os.kill(pid, signal.SIGKILL)
    assert "ended with -9" in str(asked.error())
    assert nothing_is_left(guest.server)


def _cancelled(guest: Guest, made: list[StoredBackup], backups: Backups) -> None:
    store = Stalled(backups)
    guest.manager.open_store = store.open
    asked = Asked(guest.manager, "verify_backup", wanted(made))
    wait_for(store.reached.is_set)
    guest.manager.call("cancel_backup", {"id": made[-1].id}, lambda _: None)
    assert "cancelled" in str(asked.error())
    assert nothing_is_left(guest.server)


def _changed_in_the_store(guest: Guest, made: list[StoredBackup], backups: Backups) -> None:
    """That is one: nobody could restore it."""
    key = next(key for key in backups.objects.held if "/manifest." not in key)
    backups.objects.held[key] = damage.changed(backups.objects.held[key])
    told = verify(guest, made)
    assert not told["sound"]
    assert "part 0 is not what was written" in told["reason"]


@pytest.mark.timeout(LONG_SECONDS + 100)
def test_an_agent_that_is_killed_leaves_nothing_and_begins_anew(
    make_guest: Callable[..., conftest.Guest],
) -> None:
    made = make_guest()
    control, server = made.control, made.server
    made.prepare()
    expires = datetime.now(UTC) + timedelta(hours=1)
    control.lends = msgspec.to_builtins(
        msgspec.structs.replace(Lender(Objects()).ask(), endpoint=control.url)
    )
    control.lends["credentials"]["expires_at"] = expires.isoformat()
    order = {"id": ONE, "location": f"tenant/{ONE}"}
    copied = made.ask("create_backup", order)
    chain = [{**order, "checksum": copied["checksum"], "position": copied["position"]}]
    assert any(key.startswith(f"/{BUCKET}/") for key in control.files)
    asked = control.send(control.command("verify_backup", {"chain": chain}))
    wait_for(lambda: at_work(server))
    server.kill_agent()
    wait_for(lambda: not at_work(server))
    assert (server.volume / "trial").exists()
    before = server.database()
    control.queues["guest"].show_all()
    server.start_agent()
    answer = control.answer(asked, LONG_SECONDS)
    assert answer.error is None, answer.error
    assert answer.result == {"sound": True}
    assert server.database() == before, "the database went on"
    assert nothing_is_left(server)


def _damage(guest: Guest, file: Path, change: Callable[[bytes], bytes]) -> None:
    """Change the last page of a file that has something in it, below a database that is stopped."""
    guest.manager.call("stop_db", {}, lambda _: None)
    size = PAGE[guest.engine.manager]
    content = bytearray(file.read_bytes())
    pages = [content[at : at + size] for at in range(0, len(content), size)]
    last = max(number for number, page in enumerate(pages) if any(page))
    content[last * size : (last + 1) * size] = change(bytes(pages[last]))
    with file.open("r+b") as stream:
        stream.write(content)
    guest.manager.call("restart", {}, lambda _: None)


def _administer(guest: Guest, database: str, *statements: str) -> None:
    """What only a superuser may."""
    with manager_of(guest)._session() as session, session.within(database) as inside:
        for statement in statements:
            inside.run(statement)


def _cut(page: bytes) -> bytes:
    """A page of InnoDB's rows, of which the first leads nowhere."""
    return page[:97] + b"\x7f\x0b" + page[99:]


def _summed(page: bytes) -> bytes:
    """The page with the sum of `full_crc32`: CRC-32C of all before it."""
    crc = 0xFFFFFFFF
    for byte in page[:-4]:
        crc ^= byte
        for _ in range(8):
            crc = (crc >> 1) ^ (0x82F63B78 if crc & 1 else 0)
    return page[:-4] + (crc ^ 0xFFFFFFFF).to_bytes(4)
