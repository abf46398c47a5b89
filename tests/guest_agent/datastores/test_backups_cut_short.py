"""Backups and restores in the middle of which something dies, or has no room: each ends in a
sentence, leaves nothing at work, and the next one succeeds below a database that goes on."""

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
from guest_agent import birth, datastores
from guest_agent.datastores import tool
from guest_agent.errors import CommandFailed
from tests.guest_agent.backups.objects import BUCKET, ONE, Lender, Objects
from tests.guest_agent.control_plane import wait_for
from tests.guest_agent.datastores import conftest
from tests.guest_agent.datastores.customer import Guest, server_of
from tests.guest_agent.datastores.numbered import held, numbering
from tests.guest_agent.datastores.test_backups import (
    MARIADB,
    Asked,
    Backups,
    guest_of,
    restore_args,
    restored,
)
from tests.guest_agent.datastores.volumes import fill, needs_root, small
from tests.guest_agent.fakes import Crash
from tests.guest_agent.server import Server

pytestmark = pytest.mark.database
ORDER: Final = {"id": ONE, "location": f"tenant/{ONE}"}


@pytest.fixture(scope="module")
def guest() -> Iterator[Guest]:
    with pytest.MonkeyPatch.context() as patch, guest_of(MARIADB, patch) as made:
        with numbering(made):
            pass
        yield made


@pytest.fixture
def backups(guest: Guest) -> Backups:
    made = Backups()
    made.connect(guest.manager)
    return made


def tools(server: Server) -> list[int]:
    found = server.processes().items()
    return [pid for pid, line in found if line.startswith(("/usr/bin/mariadb-backup", "setpriv"))]


def running_tool(server: Server) -> int:
    """The tool, once it is at work."""
    return wait_for(lambda: tools(server))[0]


def test_a_tool_that_dies_is_told(guest: Guest, backups: Backups) -> None:
    asked = Asked(guest.manager, "create_backup", ORDER)
    os.kill(running_tool(guest.server), signal.SIGKILL)
    assert "mariadb-backup ended with -9" in str(asked.error())
    assert not [key for key in backups.objects.held if key.endswith("manifest")]
    assert backups.create(guest).checksum


def test_a_database_that_dies_ends_its_backup_and_is_started_again(
    guest: Guest, backups: Backups
) -> None:
    asked = Asked(guest.manager, "create_backup", ORDER)
    running_tool(guest.server)
    before = held(guest)
    guest.kill()
    assert asked.error() is not None
    wait_for(lambda: not tools(guest.server))
    guest.manager.start_again()
    assert guest.status() is Status.HEALTHY
    assert held(guest) == before
    assert backups.create(guest).checksum


def test_a_restore_of_what_was_changed_in_the_store_makes_no_data(
    guest: Guest, backups: Backups, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = backups.create(guest)
    key = next(key for key in backups.objects.held if not key.endswith("manifest"))
    backups.objects.held[key] = backups.objects.held[key][:-1] + b"x"
    with server_of(MARIADB) as server:
        monkeypatch.setenv("COFFER_SERVER_ID", server.id)
        with pytest.raises(CommandFailed, match="part 0 is not what was written"):
            backups.restore(MARIADB, server, [made])
        assert not (server.volume / "data").exists()


def test_an_apply_that_is_cut_short_is_made_again(
    guest: Guest, backups: Backups, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By an agent that dies between two increments: what it had changed is fetched again."""
    chain = [backups.create(guest)]
    chain.append(backups.create(guest, chain[0]))
    run, died = tool.run, list[str]()

    def dying(command: list[str], *rest: Any) -> None:
        run(command, *rest)
        if not died:
            died.append(command[0])
            raise Crash("an agent")

    monkeypatch.setattr(tool, "run", dying)
    with server_of(MARIADB) as server:
        monkeypatch.setenv("COFFER_SERVER_ID", server.id)
        with pytest.raises(Crash):
            backups.restore(MARIADB, server, chain)
        manager = datastores.manager(birth.load(server.root))
        backups.connect(manager)
        for method in ("apply_backup", "apply_backup", "fetch_backup"):
            manager.call(method, restore_args(MARIADB, chain), lambda _: None)
        assert not (server.volume / "restored").exists()
        assert (server.volume / "data/mysql").is_dir()


@needs_root
def test_a_volume_without_room_is_told_by_both(
    guest: Guest, backups: Backups, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = backups.create(guest)
    with server_of(MARIADB) as server, small(server.volume, 16):
        monkeypatch.setenv("COFFER_SERVER_ID", server.id)
        with pytest.raises(CommandFailed, match="the volume is full: mbstream ended with 1"):
            backups.restore(MARIADB, server, [made])
        assert not (server.volume / "data").exists()
    with server_of(MARIADB) as server, small(server.volume, MARIADB.volume_mib):
        monkeypatch.setenv("COFFER_SERVER_ID", server.id)
        full = Guest(MARIADB, server)
        try:
            with numbering(full):
                pass
            filler, rows = fill(server.volume), held(full)
            with pytest.raises(CommandFailed, match="the volume is full: mariadb-backup"):
                backups.create(full)
            assert held(full) == rows
            filler.unlink()
            copy = backups.create(full)
        finally:
            server.kill_everything()
            wait_for(full.has_ended)
    with restored(backups, MARIADB, [copy], monkeypatch) as again:
        assert held(again) == rows


def test_an_agent_that_is_killed_leaves_no_tool_and_begins_anew(
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
    asked = control.send(control.command("create_backup", ORDER))
    running_tool(server)
    server.kill_agent()
    wait_for(lambda: not tools(server))
    before = server.database()
    control.queues["guest"].show_all()
    server.start_agent()
    answer = control.answer(asked)
    assert answer.error is None, answer.error
    assert server.database() == before, "the database went on"
    checksum = (answer.result or {})["checksum"]
    manifest = control.files[f"/{BUCKET}/{key_of(str(ORDER['location']), checksum)}"]
    assert hashlib.sha256(manifest).hexdigest() == checksum
    attempts = {key.split("/")[-2] for key in control.files if "/manifest." not in key}
    assert msgspec.json.decode(manifest)["attempt"] in attempts
