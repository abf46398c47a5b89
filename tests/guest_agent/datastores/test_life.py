"""The life of a database process, without one."""

from __future__ import annotations

from contextlib import nullcontext
from pathlib import Path
from typing import Any

import pytest

from chalicelib.engines.parameter import Scalar
from guest_agent.datastores import state
from guest_agent.datastores.life import Life
from guest_agent.datastores.mariadb.server import MariaDBServer
from guest_agent.datastores.service import Service
from guest_agent.datastores.state import DatastoreState
from guest_agent.errors import BadRequest, GuestError
from guest_agent.storage import volume
from guest_agent.storage.room import MIB, Room
from tests.guest_agent.datastores.conftest import config


def test_a_file_system_that_cannot_grow_does_not_keep_its_database_down(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of another kind than ext4, or with errors: its data is there all the same."""
    told: list[str] = []

    def refuse(*_: object) -> None:
        raise GuestError("resize2fs failed on the volume: Bad magic number in super-block")

    guest = config(tmp_path)
    known = DatastoreState(prepared=True, device_path="/dev/vdb", mount_point="/var/lib/mysql")
    guest.state_folder.mkdir(parents=True)
    state.save(guest.state_folder, known)
    monkeypatch.setattr(volume, "attach", lambda *_, **__: None)
    monkeypatch.setattr(volume, "grow", refuse)
    monkeypatch.setattr(MariaDBServer, "write_configuration", lambda *_: False)
    monkeypatch.setattr(Service, "adopt", lambda _: None)
    monkeypatch.setattr(Service, "start", lambda _: told.append("started"))
    monkeypatch.setattr(Service, "wait_until_ready", lambda *_: told.append("ready"))
    monkeypatch.setattr(Life, "secure", lambda _: told.append("secured"))
    assert Life(guest, MariaDBServer).start_up() == "The database was started."
    assert told == ["started", "ready", "secured"]


class Died(BaseException):
    """The agent, in the middle of it."""


def test_what_a_dead_agent_left_untaken_is_not_what_a_refusal_goes_back_to(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    taken: dict[str, Scalar] = {"max_connections": 77}
    refused = {"max_connections": 88}
    guest = config(tmp_path)
    guest.state_folder.mkdir(parents=True)
    known = DatastoreState(prepared=True, mount_point="/var/lib/mysql", configuration=taken)
    state.save(guest.state_folder, known)
    written: list[Any] = []
    ends: list[BaseException | bool] = [Died(), BadRequest("no"), True, False]

    def apply(*_: object) -> bool:
        match ends.pop(0):
            case bool() as needs_restart:
                return needs_restart
            case error:
                raise error

    monkeypatch.setattr(MariaDBServer, "checked", lambda _, values: dict(values))
    monkeypatch.setattr(MariaDBServer, "write_configuration", lambda *each: written.append(each[2]))
    monkeypatch.setattr(MariaDBServer, "apply", apply)
    monkeypatch.setattr(Service, "adopt", lambda _: 1)
    monkeypatch.setattr(Life, "session", lambda *_: nullcontext())
    with pytest.raises(Died):
        Life(guest, MariaDBServer).override(refused)
    life = Life(guest, MariaDBServer)
    with pytest.raises(BadRequest):
        life.override(refused)
    assert written == [refused, refused, taken]
    assert not life.override(refused)
    kept = state.load(guest.state_folder)
    assert (kept.configuration, kept.fallback) == (refused, None)


class Full:
    """A volume of which nearly all is taken, and the reserve held."""

    held = True

    def look(self) -> Room:
        return Room(
            free=12 * MIB, held=16 * MIB if self.held else 0, reserve=16 * MIB, low=24 * MIB
        )

    def keep(self, _: Room) -> None:
        raise AssertionError("there is no room for it")

    def let_go(self) -> bool:
        was, self.held = self.held, False
        return was


class Alive:
    """A server's process that does not answer: it recovers, or waits for room."""

    def alive(self) -> bool:
        return True


def test_a_database_that_does_not_answer_on_a_full_volume_gets_the_reserve(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """PostgreSQL dies of a log that it cannot write, and comes up only where it can."""
    guest = config(tmp_path)
    guest.state_folder.mkdir(parents=True)
    state.save(guest.state_folder, DatastoreState(prepared=True))
    life, full = Life(guest, MariaDBServer), Full()
    monkeypatch.setattr(MariaDBServer, "room", full)
    monkeypatch.setattr(life, "_service", Alive())
    monkeypatch.setattr(life, "_passing", None)
    monkeypatch.setattr(life._probe, "used", lambda _: nullcontext(None))
    life.watch()
    assert not full.held
