"""Data directories that are made side by side do not touch each other."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from chalicelib.bus.contract.arguments import Flavor
from guest_agent.datastores.mariadb import initialise
from guest_agent.datastores.mariadb.layout import Layout
from guest_agent.datastores.os_user import database_user
from guest_agent.errors import GuestError

pytestmark = pytest.mark.database

GUESTS = 6
FLAVOR = Flavor(ram=512, vcpus=1)


@pytest.fixture
def layouts() -> Iterator[list[Layout]]:
    """The places of several guests on one host, which a database's user may enter."""
    root = Path(tempfile.mkdtemp(prefix="coffer-guests-"))
    root.chmod(0o755)
    yield [Layout(root, root / str(number)) for number in range(GUESTS)]
    shutil.rmtree(root)


def test_several_are_made_at_once(layouts: list[Layout]) -> None:
    """A server that starts removes the temporary tables of others that share its tmpdir."""
    user = database_user("mysql", layouts[0].root)
    for layout in layouts:
        layout.volume.mkdir()
    with ThreadPoolExecutor(GUESTS) as pool:
        made = list(pool.map(lambda each: initialise.initialise(each, user, FLAVOR), layouts))
    assert made == [True] * GUESTS
    assert all((layout.data / "mysql").is_dir() for layout in layouts)


def test_a_failure_tells_its_cause() -> None:
    said = r"[Note] hello\n[ERROR] Disk is full\n[ERROR] Aborting\n"
    script = ["/bin/sh", "-c", f"printf '{said}'; exit 1"]
    with pytest.raises(GuestError, match=r"not initialised: Disk is full$"):
        initialise._run(script, database_user("mysql", Path("/")))
