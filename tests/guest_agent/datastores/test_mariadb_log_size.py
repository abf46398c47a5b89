"""The redo log of data that are there is made another one only where there is room for both."""

from __future__ import annotations

from pathlib import Path

import pytest

from chalicelib.bus.contract.arguments import Flavor
from guest_agent.datastores.mariadb.server import LOG, MariaDBServer
from guest_agent.storage.room import OnVolume, Room
from tests.guest_agent.datastores.conftest import config

MIB = 1024**2
FLAVOR = Flavor(ram=4096, vcpus=2)


@pytest.fixture
def server(tmp_path: Path) -> MariaDBServer:
    made = MariaDBServer(config(tmp_path), "/volume")
    made.layout.data.mkdir(parents=True)
    return made


def log_of(server: MariaDBServer, mib: float) -> None:
    """As large as that, and nothing in it."""
    with (server.layout.data / "ib_logfile0").open("wb") as file:
        file.truncate(int(mib * MIB))


def left(monkeypatch: pytest.MonkeyPatch, mib: int) -> None:
    found = Room(mib * MIB, 0, 0, 24 * MIB)
    monkeypatch.setattr(OnVolume, "look", lambda _: found)


def chosen(server: MariaDBServer) -> float:
    return int(server.template(FLAVOR)[LOG]) / MIB


@pytest.mark.parametrize("held", [16, 2048])
def test_a_log_of_another_size_stays_on_a_full_volume(
    server: MariaDBServer, monkeypatch: pytest.MonkeyPatch, held: int
) -> None:
    """A smaller one is written beside it as well, and the server would not start."""
    left(monkeypatch, 10_000)
    wanted = chosen(server)
    assert wanted not in {16, 2048}
    log_of(server, held)
    assert chosen(server) == wanted
    left(monkeypatch, int(wanted) + 23)
    assert chosen(server) == held
    left(monkeypatch, int(wanted) + 24)
    assert chosen(server) == wanted


@pytest.mark.parametrize("held", [None, 0.012])
def test_new_and_restored_data_have_the_log_that_is_chosen(
    server: MariaDBServer, monkeypatch: pytest.MonkeyPatch, held: float | None
) -> None:
    left(monkeypatch, 10_000)
    wanted = chosen(server)
    if held is not None:
        log_of(server, held)
    left(monkeypatch, 1)
    assert chosen(server) == wanted
