"""A server of another version's image: it goes on with the data, or leaves them alone."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from chalicelib.bus.envelope import Envelope
from guest_agent.datastores import processes
from guest_agent.datastores.mariadb import version
from guest_agent.datastores.mariadb.layout import SOCKET, Layout
from guest_agent.datastores.os_user import agent_account
from guest_agent.errors import GuestError
from tests.guest_agent.datastores.conftest import Guest
from tests.guest_agent.datastores.test_mariadb_prepare import lose_the_root_disk
from tests.guest_agent.server import prepare_args

pytestmark = pytest.mark.database


def engine() -> str:
    """The version of the database that is installed here."""
    return version.installed_engine()


def numbers() -> str:
    return engine().partition("-")[0]


def series() -> str:
    return numbers().rpartition(".")[0]


@pytest.fixture
def data(guest: Guest) -> Guest:
    """A server whose data have outlived its root disk, and were an earlier engine's."""
    guest.prepare()
    guest.rows("CREATE TABLE kept (id INT)", database="shop")
    guest.rows("INSERT INTO kept VALUES (7)", database="shop")
    lose_the_root_disk(guest)
    (guest.server.volume / "data" / "mysql_upgrade_info").write_text(f"{series()}.0-MariaDB")
    return guest


def upgrade(guest: Guest, number: str, **changes: Any) -> Envelope:
    known = prepare_args()
    wanted = {name: known[name] for name in ("datastore", "flavor", "mount_point", "volume_id")}
    asked = {**wanted, "number": number, **changes}
    command_id = guest.control.send(guest.control.command("upgrade", asked))
    guest.server.start_agent()
    return guest.control.answer(command_id)


def test_the_engine_of_the_version_goes_on_with_the_data(data: Guest) -> None:
    more = {"flavor": {"ram": 1024, "vcpus": 2}, "configuration": {"wait_timeout": 61}}
    answer = upgrade(data, numbers(), **more)
    assert answer.error is None
    assert answer.result is not None
    assert answer.result["holds_configuration"] is True
    assert data.rows("SELECT @@global.wait_timeout") == [(61,)]
    assert answer.result["version"] == engine()
    assert answer.result["settings"]["max_connections"] == 200, "as the server has it"
    assert data.rows("SELECT id FROM kept", database="shop") == [(7,)]
    assert data.ask("is_root_enabled") == {"enabled": False}
    assert _mariadb_upgrade_has_nothing_to_do(data), "by the same file"


def _mariadb_upgrade_has_nothing_to_do(data: Guest) -> bool:
    command = [
        processes.program("mariadb-upgrade"),
        "--no-defaults",
        f"--socket={data.server.volume / 'data' / SOCKET}",
        f"--user={agent_account()}",
        "--check-if-upgrade-is-needed",
    ]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    return (done.returncode, "already upgraded" in done.stdout) == (1, True)


def test_an_engine_of_another_version_leaves_the_data_alone(data: Guest) -> None:
    log = data.server.volume / "data" / "ib_logfile0"
    before = log.read_bytes()
    answer = upgrade(data, "10.99.1")
    assert answer.error is not None
    assert "was to be of 10.99.1; nothing was started" in answer.error.message
    assert data.server.database() is None
    assert log.read_bytes() == before


@pytest.fixture
def layout(tmp_path: Path) -> Layout:
    """Data of which nothing is there but who has written them: no database is needed to ask."""
    made = Layout(tmp_path, tmp_path)
    made.data.mkdir()
    return made


@pytest.mark.parametrize("name", ["mysql_upgrade_info", "mariadb_upgrade_info"])
def test_data_of_the_series_are_gone_on_with(layout: Layout, name: str) -> None:
    (layout.data / name).write_text(f"{series()}.0-MariaDB")
    for number in (numbers(), series()):
        version.require(layout, number)


@pytest.mark.parametrize(
    ("written_by", "said"),
    [
        ("9.11.2-MariaDB", "are of version 9.11.2-MariaDB, which"),
        ("{series}.999-MariaDB", "are of version {series}.999-MariaDB, which"),
        ("", "are of version unknown"),
        ("\0nothing", "are of version nothing"),
        (None, "are of version unknown"),
    ],
)
def test_data_of_another_series_or_of_a_newer_engine_are_not(
    layout: Layout, written_by: str | None, said: str
) -> None:
    if written_by is not None:
        written = layout.data / "mysql_upgrade_info"
        written.write_text(written_by.format(series=series()))
    with pytest.raises(GuestError) as refused:
        version.require(layout, numbers())
    assert said.format(series=series()) in str(refused.value)
    assert "nothing was started" in str(refused.value)


@pytest.mark.parametrize("make", [os.mkfifo, lambda path: path.symlink_to("/etc/hostname")])
def test_a_file_that_is_none_says_nothing(layout: Layout, make: Callable[[Path], None]) -> None:
    """The folder is the database user's, who may put anything there."""
    make(layout.data / "mysql_upgrade_info")
    with pytest.raises(GuestError, match="of version unknown"):
        version.require(layout, numbers())


def test_an_engine_that_does_not_start_has_ended_when_it_is_told(data: Guest) -> None:
    """It is stopped, so that the engine of before finds no other one at the data."""
    (data.server.volume / "data" / "ib_buffer_pool").unlink(missing_ok=True)
    (data.server.volume / "data" / "ibdata1").write_bytes(b"no tablespace")
    answer = upgrade(data, numbers())
    assert answer.error is not None
    assert "while it started" in answer.error.message
    assert data.server.database() is None


def test_a_program_that_does_not_tell_its_version_is_no_engine(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program = tmp_path / "mariadbd"
    program.write_text("#!/bin/sh\necho something else\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    with pytest.raises(GuestError, match="does not tell its version"):
        version.installed_engine()
