"""The life of a database process, without one."""

from __future__ import annotations

from pathlib import Path

import pytest

from guest_agent.datastores import state
from guest_agent.datastores.life import Life
from guest_agent.datastores.mariadb.server import MariaDBServer
from guest_agent.datastores.service import Service
from guest_agent.datastores.state import DatastoreState
from guest_agent.errors import GuestError
from guest_agent.storage import volume
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
