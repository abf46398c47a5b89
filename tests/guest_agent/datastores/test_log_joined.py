"""The agent's archiver on the real engines' logs, and a restore to a moment by its commands."""

from __future__ import annotations

import uuid
from contextlib import ExitStack
from typing import Any, Final

import msgspec
import pytest

from chalicelib.bus.contract.answers import BackedUp
from chalicelib.bus.contract.archiving import ArchiveState
from chalicelib.bus.contract.arguments import Archive, LogToReplay, StoredBackup
from chalicelib.service_status import ServiceStatus as Status
from guest_agent import birth, datastores
from guest_agent.backups import archiver, pieces
from guest_agent.backups.archiver import Archiver
from guest_agent.backups.store import StoreFailed
from guest_agent.datastores import tool
from guest_agent.datastores.mariadb import replay as mariadb_replay
from guest_agent.memory import Memory
from tests.guest_agent.control_plane import wait_for
from tests.guest_agent.datastores.archived import Restored, manager_of
from tests.guest_agent.datastores.customer import (
    ENGINES,
    Engine,
    Guest,
    Refused,
    guest_on,
    server_of,
)
from tests.guest_agent.datastores.numbered import held, numbering
from tests.guest_agent.datastores.test_backups import MARIADB, Backups, guest_of, restore_args
from tests.guest_agent.datastores.volumes import fill, needs_root, small
from tests.guest_agent.fakes import Crash

pytestmark = pytest.mark.database
NAMELESS: Final = "".join(f"{each}:x:48226:48226::/:/bin/false\n" for each in ("mysql", "postgres"))
"""The users of a server that shares its kernel: their number has no name there."""


class Sent:
    """An archive of a guest in a store in memory; `memory` is the agent's."""

    def __init__(self, guest: Guest, backups: Backups) -> None:
        self.guest, self.backups, self.memory = guest, backups, Memory()
        self.wanted = Archive(str(uuid.uuid4()), "tenant/log")
        backups.lender.backups += (self.wanted.id,)
        backups.connect(guest.manager)
        self.archiver = Archiver(guest.manager, self.memory, lambda: None)
        if not self.archiver.keep(self.wanted):
            guest.manager.call("restart", {}, lambda _: None)
        self.round()

    def round(self, status: Status = Status.HEALTHY) -> ArchiveState:
        """Have one made; how the archive is then."""
        self.memory.archive_at = 0.0
        self.archiver.look(status)
        wait_for(lambda: not self.archiver.working)
        assert self.memory.archiving is not None
        return self.memory.archiving.state

    def reaches(self, moment_ms: int) -> None:
        """Have rounds made until the moment is in the archive."""

        def there() -> bool:
            assert self.round() is ArchiveState.RUNS
            told = self.memory.archiving
            return told is not None and told.until_ms >= moment_ms

        wait_for(there)

    def list(self, _: str, behind: str) -> bytes:
        """As the control plane lists it, all on one page."""
        names = (key.rpartition("/")[2] for key in self.backups.objects.held if "/log/" in key)
        found = sorted(name for name in names if name > behind)
        return msgspec.json.encode({"names": found, "next": None})

    def restore_args(self, made: BackedUp, stored: StoredBackup, moment_ms: int) -> dict[str, Any]:
        told, place = self.memory.archiving, made.log
        assert told is not None
        assert place is not None, "the backup knows where the log goes on"
        log = LogToReplay(
            archive=self.wanted.id,
            location=self.wanted.location,
            behind=place.number,
            number=told.number,
            sha256=told.sha256,
            position=place.position,
            target_ms=moment_ms,
        )
        args = restore_args(self.guest.engine, [stored])
        return {**args, "log": msgspec.to_builtins(log)}


def backed_up(guest: Guest, backups: Backups) -> tuple[BackedUp, StoredBackup]:
    backup_id = str(uuid.uuid4())
    backups.lender.backups += (backup_id,)
    args = {"id": backup_id, "location": f"tenant/chain/{backup_id}"}
    made = msgspec.convert(guest.manager.call("create_backup", args, lambda _: None), BackedUp)
    return made, StoredBackup(backup_id, args["location"], made.checksum, made.position)


@pytest.mark.parametrize("engine", ENGINES[:2], ids=lambda each: each.manager)
def test_a_moment_is_restored_by_commands_also_when_its_agent_dies_in_it(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    backups = Backups()
    with guest_of(engine, monkeypatch) as guest:
        sent = Sent(guest, backups)
        with numbering(guest) as rows:
            made, stored = backed_up(guest, backups)
            rows.more(50)
            moment = rows.moment()
            rows.more(50)
            sent.reaches(moment)
        args = sent.restore_args(made, stored, moment)
    with ExitStack() as stack:
        server = stack.enter_context(server_of(engine))
        monkeypatch.setenv("COFFER_SERVER_ID", server.id)
        (server.root / "etc/passwd").write_text(NAMELESS, encoding="utf-8")
        with pytest.MonkeyPatch.context() as patch:
            dies_in_it(patch, engine)
            with pytest.raises(Crash):
                restore(server.root, backups, sent, args)
        assert not [line for line in server.processes().values() if "restored" in line]
        restore(server.root, backups, sent, args)
        again = stack.enter_context(guest_on(engine, server, Restored))
        least, most = rows.up_to(moment, 1 if engine is MARIADB else 0)
        assert least <= held(again) <= most


def restore(root: Any, backups: Backups, sent: Sent, args: dict[str, Any]) -> None:
    manager = datastores.manager(birth.load(root))
    backups.connect(manager)
    manager.list_pieces = sent.list
    manager.call("fetch_backup", args, lambda _: None)
    manager.call("apply_backup", args, lambda _: None)


def crash(*_: Any) -> None:
    raise Crash("an agent")


def dies_in_it(patch: pytest.MonkeyPatch, engine: Engine) -> None:
    """The agent, with a server at work, or when that has ended and nobody has been told."""
    if engine is MARIADB:
        patch.setattr(mariadb_replay, "_replay", crash)
        return
    run = tool.run

    def dying(command: list[str], *rest: Any) -> None:
        run(command, *rest)
        raise Crash("an agent")

    patch.setattr(tool, "run", dying)


def test_a_server_that_ran_without_its_log_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    backups = Backups()
    with guest_of(MARIADB, monkeypatch) as guest:
        sent = Sent(guest, backups)
        assert sent.round() is ArchiveState.RUNS
        log = manager_of(guest).log()
        assert log is not None
        log.forget()
        guest.manager.call("restart", {}, lambda _: None)
        assert sent.round() is ArchiveState.BROKEN
        assert sent.memory.wants_renewal


@needs_root
def test_a_volume_that_fills_with_its_log_takes_writes_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The store is away: the archive gives up what it has not sent."""
    with server_of(MARIADB) as server, small(server.volume, MARIADB.volume_mib):
        monkeypatch.setenv("COFFER_SERVER_ID", server.id)
        with guest_on(MARIADB, server, Guest) as full:
            sent = Sent(full, Backups())
            sent.round()
            monkeypatch.setattr(pieces, "put", away)
            full.ask("CREATE TABLE kept (a LONGTEXT)")
            filler = fill(server.volume, leave=48 << 20)
            while full.status() is Status.HEALTHY:
                with_rows(full)
            assert sent.round(full.status()) is ArchiveState.RUNS
            assert full.status() is Status.BLOCKED, "as much may wait"
            monkeypatch.setattr(archiver, "SHARE", 64)
            assert sent.round(full.status()) is ArchiveState.BROKEN
            log = manager_of(full).log()
            assert log is not None
            assert log.waiting(log.begin()) < 1 << 20
            filler.unlink()
            wait_for(lambda: full.status() is Status.HEALTHY)
            assert with_rows(full)


def away(*_: Any) -> None:
    raise StoreFailed("the store is away")


def with_rows(guest: Guest) -> bool:
    """A MiB in the database, and another one in its log; whether it takes them."""
    try:
        guest.ask("INSERT INTO kept VALUES (REPEAT('x', 1048576))")
    except Refused:
        return False
    return True
