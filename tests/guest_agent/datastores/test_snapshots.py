"""Snapshots of the volumes of real engines below a customer who writes, and what goes on with one.

A snapshot is what the local cloud makes: all of the folder, while each process stands still.
"""

from __future__ import annotations

import subprocess
import tempfile
from pathlib import Path
from typing import Final

import pytest

from guest_agent import birth, datastores
from guest_agent.errors import CommandFailed
from simulator.cloud import processes
from tests.guest_agent.datastores.customer import ENGINES, Engine, guest_on, server_of
from tests.guest_agent.datastores.numbered import held, numbering
from tests.guest_agent.datastores.test_backups import Restored, guest_of
from tests.guest_agent.server import Server, prepare_args

pytestmark = pytest.mark.database
WITH_SNAPSHOTS: Final = ENGINES[:2]


def copy(folder: Path, target: Path) -> None:
    command = ["cp", "--archive", "--sparse=auto", f"{folder}/.", str(target)]
    subprocess.run(command, check=True, timeout=60)


def adopt(engine: Engine, server: Server) -> None:
    """As the flow of a restore has a guest do it, before it prepares."""
    manager = datastores.manager(birth.load(server.root))
    full = prepare_args(datastore={"manager": engine.manager, "version": engine.version})
    kept = {name: full[name] for name in ("datastore", "flavor", "mount_point", "volume_id")}
    manager.call("rebuild", kept, lambda _: None)
    manager.call("resize_fs", {"size": 2}, lambda _: None)


@pytest.mark.parametrize("engine", WITH_SNAPSHOTS, ids=lambda engine: engine.manager)
def test_an_engine_goes_on_with_all_that_it_had_answered(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    with tempfile.TemporaryDirectory() as kept:
        with guest_of(engine, monkeypatch) as guest, numbering(guest) as rows:
            with processes.standing_still([guest.server.id]):
                least = rows.committed
                copy(guest.server.volume, Path(kept))
                assert rows.committed == least, "nobody is answered meanwhile"
            rows.more(20)
        with server_of(engine) as server:
            monkeypatch.setenv("COFFER_SERVER_ID", server.id)
            copy(Path(kept), server.volume)
            adopt(engine, server)
            with guest_on(engine, server, Restored) as guest:
                assert least <= held(guest) <= least + 1


def test_a_volume_without_data_is_not_made_a_database(monkeypatch: pytest.MonkeyPatch) -> None:
    engine = WITH_SNAPSHOTS[0]
    with server_of(engine) as server:
        monkeypatch.setenv("COFFER_SERVER_ID", server.id)
        with pytest.raises(CommandFailed, match="no MariaDB data directory"):
            adopt(engine, server)
        assert not list(server.volume.iterdir())
