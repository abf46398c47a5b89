"""Data directories that are made side by side do not touch each other."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from chalicelib.bus.contract.arguments import Flavor
from guest_agent.datastores import data_directory
from guest_agent.datastores.mariadb.server import MariaDBServer
from guest_agent.errors import GuestError
from tests.guest_agent.datastores.conftest import config

pytestmark = pytest.mark.database

GUESTS = 6
FLAVOR = Flavor(ram=512, vcpus=1)


@pytest.fixture
def servers() -> Iterator[list[MariaDBServer]]:
    """The places of several guests on one host, which a database's user may enter."""
    root = Path(tempfile.mkdtemp(prefix="coffer-guests-"))
    root.chmod(0o755)
    yield [MariaDBServer(config(root), f"/{number}") for number in range(GUESTS)]
    shutil.rmtree(root)


def test_several_are_made_at_once(servers: list[MariaDBServer]) -> None:
    """A server that starts removes the temporary tables of others that share its tmpdir."""
    for server in servers:
        server.layout.volume.mkdir()
    with ThreadPoolExecutor(GUESTS) as pool:
        made = list(pool.map(lambda each: data_directory.make(each, FLAVOR), servers))
    assert made == [True] * GUESTS
    assert all(server.holds_data() for server in servers)


def test_a_failure_tells_its_cause(servers: list[MariaDBServer]) -> None:
    said = r"[Note] hello\n[ERROR] Disk is full\n[ERROR] Aborting\n"
    script = ["/bin/sh", "-c", f"printf '{said}'; exit 1"]
    with pytest.raises(GuestError, match=r"not initialised: Disk is full$"):
        data_directory.run(script, servers[0].user, servers[0].log)
