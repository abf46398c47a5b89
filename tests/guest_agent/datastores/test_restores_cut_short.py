"""Restores in the middle of which something dies, has no room, or is not what was written."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from chalicelib.bus.contract.arguments import StoredBackup
from guest_agent import birth, datastores
from guest_agent.backups.s3 import S3Store
from guest_agent.clock import ServiceClock
from guest_agent.datastores import data_directory, tool
from guest_agent.enrolment import Reply
from guest_agent.errors import CommandFailed
from guest_agent.manager import Manager
from tests.guest_agent.datastores.customer import ENGINES, Engine, guest_on, server_of
from tests.guest_agent.datastores.numbered import held, numbering
from tests.guest_agent.datastores.test_backups import (
    MARIADB,
    Backups,
    Restored,
    guest_of,
    restore_args,
)
from tests.guest_agent.datastores.volumes import fill, needs_root, small
from tests.guest_agent.fakes import Crash
from tests.guest_agent.server import Server
from tests.support import damage

pytestmark = pytest.mark.database


class Taken(NamedTuple):
    """A chain of backups of an engine, and how many rows it has."""

    engine: Engine
    backups: Backups
    chain: list[StoredBackup]
    rows: int

    @property
    def fetched(self) -> list[str]:
        """The backups of which a part was fetched, one after another."""
        keys = [key for method, key in self.backups.objects.requests if method == "GET"]
        found = [key.split("/")[-3] for key in keys if "/manifest." not in key]
        return list(dict.fromkeys(found))


@pytest.fixture(scope="module", params=ENGINES, ids=[each.manager for each in ENGINES])
def taken(request: pytest.FixtureRequest) -> Iterator[Taken]:
    engine, backups = request.param, Backups()
    with pytest.MonkeyPatch.context() as patch, guest_of(engine, patch) as guest:
        with numbering(guest):
            pass
        chain = [backups.create(guest)]
        if engine.manager != "redis":
            chain.append(backups.create(guest, chain[0]))
        yield Taken(engine, backups, chain, held(guest))


@pytest.fixture
def server(taken: Taken, monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    taken.backups.objects.requests.clear()
    with server_of(taken.engine) as made:
        monkeypatch.setenv("COFFER_SERVER_ID", made.id)
        yield made


def test_what_was_changed_in_the_store_makes_no_data(taken: Taken, server: Server) -> None:
    objects = taken.backups.objects
    key = next(key for key in objects.held if "/manifest." not in key)
    before = objects.held[key]
    objects.held[key] = damage.changed(before)
    try:
        with pytest.raises(CommandFailed, match="part 0 is not what was written"):
            taken.backups.restore(taken.engine, server, taken.chain)
    finally:
        objects.held[key] = before
    assert not (server.volume / "data").exists()


def test_an_apply_that_is_cut_short_is_made_again(
    taken: Taken, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By an agent that dies before its data directory is one; what is whole is not fetched again,
    nor is what was only moved."""
    place, died = data_directory.place, list[Path]()

    def dying(made: Path, target: Path) -> None:
        if target.name == "data" and not died:
            died.append(made)
            raise Crash("an agent")
        place(made, target)

    monkeypatch.setattr(data_directory, "place", dying)
    with pytest.raises(Crash):
        taken.backups.restore(taken.engine, server, taken.chain)
    assert taken.fetched == [each.id for each in taken.chain]
    taken.backups.objects.requests.clear()
    _again(taken, server)
    changed = [each.id for each in taken.chain] if taken.engine is MARIADB else []
    assert taken.fetched == changed


@pytest.mark.parametrize("taken", [MARIADB], indirect=True, ids=[MARIADB.manager])
def test_an_increment_that_was_not_reached_is_not_fetched_again(
    taken: Taken, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The tool of MariaDB changes one copy after another."""
    run, died = tool.run, list[str]()

    def dying(command: list[str], *rest: Any) -> None:
        run(command, *rest)
        if not died:
            died.append(command[0])
            raise Crash("an agent")

    monkeypatch.setattr(tool, "run", dying)
    with pytest.raises(Crash):
        taken.backups.restore(taken.engine, server, taken.chain)
    taken.backups.objects.requests.clear()
    _again(taken, server)
    assert taken.fetched == [taken.chain[0].id]


def _again(taken: Taken, server: Server) -> None:
    """The next agent goes on, once and once more; its database has all of the rows."""
    manager = datastores.manager(birth.load(server.root))
    taken.backups.connect(manager)
    for method in ("apply_backup", "apply_backup", "fetch_backup"):
        manager.call(method, restore_args(taken.engine, taken.chain), lambda _: None)
    assert not (server.volume / "restored").exists()
    with guest_on(taken.engine, server, Restored) as guest:
        assert held(guest) == taken.rows


@needs_root
def test_a_volume_without_room_is_told_before_it_is_filled(taken: Taken, server: Server) -> None:
    with small(server.volume, 1):
        fill_folder(server)
        with pytest.raises(CommandFailed, match=r"the volume is full: the backup .* needs \d+ MiB"):
            taken.backups.restore(taken.engine, server, taken.chain)
        assert not (server.volume / "data").exists()
        assert taken.fetched == []


@needs_root
def test_a_volume_that_becomes_full_is_told_and_the_restore_goes_on_when_it_has_room(
    taken: Taken, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    with small(server.volume, taken.engine.volume_mib):
        store = Filling(taken.backups, server)
        with monkeypatch.context() as patch:
            patch.setattr(taken.backups, "connect", store.connect)
            with pytest.raises(CommandFailed, match="the volume is full: "):
                taken.backups.restore(taken.engine, server, taken.chain)
        assert store.filler is not None
        assert not (server.volume / "data").exists()
        store.filler.unlink()
        _again(taken, server)


class Filling:
    """A store while something else takes the room on the volume."""

    def __init__(self, backups: Backups, server: Server) -> None:
        self._backups, self._server = backups, server
        self.filler: Path | None = None

    def connect(self, manager: Manager) -> None:
        lender = self._backups.lender
        manager.open_store = lambda _, stop: S3Store(lender.ask, ServiceClock(), stop, self._send)

    def _send(
        self, method: str, url: str, body: bytes | None, headers: dict[str, str]
    ) -> Reply | None:
        if "/manifest." not in url and self.filler is None:
            self.filler = fill_folder(self._server)
        return self._backups.objects(method, url, body, headers)


def fill_folder(server: Server) -> Path:
    """Take all the room, beside what is being restored."""
    return fill(server.volume, inside="")
