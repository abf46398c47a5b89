"""Backups in the middle of which something dies, is away, or has no room, on each engine: each ends
in a sentence, leaves nothing at work, and the next one succeeds below a database that goes on."""

from __future__ import annotations

import hashlib
import os
import signal
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import msgspec
import pytest

from chalicelib.bus.contract.manifest import key_of
from chalicelib.service_status import ServiceStatus as Status
from guest_agent.backups import writer
from guest_agent.datastores import backups as managers
from guest_agent.errors import CommandFailed
from tests.guest_agent.backups.objects import BUCKET, Lender, Objects
from tests.guest_agent.control_plane import wait_for
from tests.guest_agent.datastores import conftest
from tests.guest_agent.datastores.customer import ENGINES, Engine, Guest, first_start, server_of
from tests.guest_agent.datastores.midway import (
    ORDER,
    SMALL_PART,
    TROUBLES,
    begun,
    hurried,
    tools,
    workers,
)
from tests.guest_agent.datastores.numbered import held, numbering
from tests.guest_agent.datastores.test_backups import Backups, guest_of, restored
from tests.guest_agent.datastores.volumes import fill, needs_root, small

pytestmark = pytest.mark.database
NAMES: Final = [each.manager for each in ENGINES]
DIES: Final = {
    "mariadb": "mariadb-backup ended with -9",
    "postgresql": "pg_basebackup ended with -9",
    "redis": "the database could not write its RDB",
}
FULL: Final = "the volume is full"


@pytest.fixture(scope="module", params=ENGINES, ids=NAMES)
def guest(request: pytest.FixtureRequest) -> Iterator[Guest]:
    with pytest.MonkeyPatch.context() as patch, guest_of(request.param, patch) as made:
        with numbering(made):
            pass
        yield made


@pytest.fixture
def backups(guest: Guest) -> Backups:
    made = Backups()
    made.connect(guest.manager)
    return made


def is_backup(backups: Backups) -> bool:
    return any("/manifest." in key for key in backups.objects.held)


def test_a_tool_that_dies_is_told(
    guest: Guest, backups: Backups, monkeypatch: pytest.MonkeyPatch
) -> None:
    database = guest.server.database()
    with begun(guest, backups, monkeypatch) as asked:
        os.kill(workers(guest)[0], signal.SIGKILL)
    assert DIES[guest.engine.manager] in str(asked.error())
    assert not is_backup(backups)
    assert backups.create(guest).checksum
    assert guest.server.database() == database


def test_a_database_that_dies_ends_its_backup_and_is_started_again(
    guest: Guest, backups: Backups, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = held(guest)
    with begun(guest, backups, monkeypatch) as asked:
        guest.kill()
    assert asked.error() is not None
    assert not is_backup(backups)
    wait_for(lambda: not tools(guest.server))
    guest.manager.start_again()
    assert guest.status() is Status.HEALTHY
    assert held(guest) == before
    assert backups.create(guest).checksum


def test_a_store_that_is_away_for_a_minute_costs_neither_a_backup_nor_a_restore(
    guest: Guest, backups: Backups, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nor do connections that are cut, answers that are lost, and parts that come there changed."""
    monkeypatch.setattr(writer, "PART_BYTES", SMALL_PART)
    rows = held(guest)
    monkeypatch.setattr(backups, "connect", hurried(backups))
    backups.objects.faults = [None, *TROUBLES]
    made = backups.create(guest)
    assert not backups.objects.faults, "each of them has come"
    backups.objects.faults = [None, *TROUBLES]
    with restored(backups, guest.engine, [made], monkeypatch) as again:
        assert not backups.objects.faults
        assert held(again) == rows


@needs_root
@pytest.mark.parametrize("engine", ENGINES, ids=NAMES)
def test_a_volume_without_room_is_told_and_costs_the_database_nothing(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Before a copy is begun, and where it becomes full behind that look."""
    backups = Backups()
    with server_of(engine) as server, small(server.volume, engine.volume_mib):
        monkeypatch.setenv("COFFER_SERVER_ID", server.id)
        full = Guest(engine, server)
        try:
            with numbering(full):
                pass
            database, rows = server.database(), held(full)
            filler = fill(server.volume)
            with pytest.raises(CommandFailed, match=f"{FULL}: a backup needs"):
                backups.create(full)
            assert not backups.objects.requests
            filler.unlink()
            with monkeypatch.context() as patch:
                patch.setattr(managers, "require_room", lambda _: fill(server.volume))
                error = failure(backups, full)
            assert error is None or str(error).startswith(FULL)
            assert (server.database(), held(full)) == (database, rows)
            filler.unlink()
            copy = backups.create(full)
        finally:
            server.kill_everything()
            wait_for(full.has_ended)
    with restored(backups, engine, [copy], monkeypatch) as again:
        assert held(again) == rows


def failure(backups: Backups, guest: Guest) -> Exception | None:
    """Why no backup was made, if none was."""
    try:
        backups.create(guest)
    except CommandFailed as error:
        return error
    return None


@pytest.mark.parametrize("engine", ENGINES, ids=NAMES)
def test_an_agent_that_is_killed_leaves_no_tool_and_begins_anew(
    engine: Engine, make_guest: Callable[..., conftest.Guest]
) -> None:
    """While its part is on the way to the store."""
    made = make_guest(datastore_manager=engine.manager, datastore_version=engine.version)
    control, server = made.control, made.server
    prepared = control.send(control.command("prepare", first_start(engine)))
    server.start_agent()
    assert control.answer(prepared).error is None
    control.lends = _lent(control.url)
    control.puts.clear()
    asked = control.send(control.command("create_backup", dict(ORDER)))
    wait_for(control.put.is_set)
    server.kill_agent()
    wait_for(lambda: not tools(server))
    before = server.database()
    control.puts.set()
    control.queues["guest"].show_all()
    server.start_agent()
    answer = control.answer(asked)
    assert answer.error is None, answer.error
    assert server.database() == before, "the database went on"
    checksum = (answer.result or {})["checksum"]
    manifest = control.files[f"/{BUCKET}/{key_of(ORDER['location'], checksum)}"]
    assert hashlib.sha256(manifest).hexdigest() == checksum
    attempts = {key.split("/")[-2] for key in control.files if "/manifest." not in key}
    assert msgspec.json.decode(manifest)["attempt"] in attempts


def _lent(url: str) -> dict[str, Any]:
    expires = datetime.now(UTC) + timedelta(hours=1)
    grant = msgspec.structs.replace(Lender(Objects()).ask(), endpoint=url)
    lent: dict[str, Any] = msgspec.to_builtins(grant)
    lent["credentials"]["expires_at"] = expires.isoformat()
    return lent
