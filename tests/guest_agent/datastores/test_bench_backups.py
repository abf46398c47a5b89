"""What a backup costs: its throughput beside the bare tool's into the same store, its memory."""

from __future__ import annotations

import http.client
import json
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final

import pytest

from guest_agent.datastores.mariadb.layout import SOCKET
from guest_agent.datastores.os_user import agent_account
from tests.guest_agent.backups import measured, sink
from tests.guest_agent.backups.objects import ONE
from tests.guest_agent.control_plane import wait_for
from tests.guest_agent.datastores.customer import Guest
from tests.guest_agent.datastores.test_backups import MARIADB, guest_of
from tests.support.loopback import HOST, free_port

pytestmark = [pytest.mark.bench, pytest.mark.database]
SIZES_MIB: Final = (100, 1000)
ROUNDS: Final = 3
ROWS: Final = 1024
DOUBLINGS: Final = 7
PART_BYTES: Final = 16 * 1024**2
MOST_RATIO: Final = 2.0
MOST_GROWTH_MIB: Final = 32.0
"""Of one part more at work when its memory was looked at."""


@pytest.fixture
def port(tmp_path: Path) -> Iterator[int]:
    """Of a store that keeps files."""
    chosen = free_port()
    process = subprocess.Popen([sys.executable, str(sink.__file__), str(chosen), str(tmp_path)])
    try:
        wait_for(lambda: _listens(chosen))
        yield chosen
    finally:
        process.kill()
        process.wait()


def _listens(port: int) -> bool:
    connection = http.client.HTTPConnection(HOST, port)
    try:
        connection.connect()
    except OSError:
        return False
    finally:
        connection.close()
    return True


def test_memory_is_flat_at_any_size(port: int) -> None:
    found: list[dict[str, float]] = []
    for mib in SIZES_MIB:
        command = [sys.executable, "-m", measured.__name__, f"http://{HOST}:{port}", str(mib)]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        found.append(json.loads(done.stdout))
        told = {name: round(figure) for name, figure in found[-1].items()}
        print(f"\n{mib} MiB: {told}")  # noqa: T201 - what a benchmark is for
    small, large = found
    for phase in ("written", "read"):
        assert large[phase] - small[phase] < MOST_GROWTH_MIB


def test_a_backup_beside_the_bare_tool(port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    with guest_of(MARIADB, monkeypatch) as guest:
        guest.ask("CREATE TABLE filled (a VARCHAR(2000)) ROW_FORMAT=DYNAMIC")
        random = "CONCAT(REPEAT(MD5(RAND()), 8), REPEAT(SHA2(RAND(), 512), 8))"
        guest.ask(f"INSERT INTO filled SELECT {random} FROM seq_1_to_{ROWS}")
        for _ in range(DOUBLINGS):
            guest.ask(f"INSERT INTO filled SELECT {random} FROM filled")
        guest.manager.open_store = lambda *_: measured.store(f"http://{HOST}:{port}")
        ours, bare, sizes = list[float](), list[float](), list[int]()
        for _ in range(ROUNDS):
            bare.append(_seconds(lambda: _bare(guest, port)))
            ours.append(_seconds(lambda: sizes.append(_ours(guest)["data_size"])))
        size = sizes[-1] / 1024**2
    one, other = statistics.median(ours), statistics.median(bare)
    print(  # noqa: T201 - what a benchmark is for
        f"\n{size:.0f} MiB of MariaDB: {size / one:.0f} MiB/s through the agent, "
        f"{size / other:.0f} MiB/s by the tool and zstd alone; {one / other:.2f} times as long"
    )
    assert one / other < MOST_RATIO


def _seconds(call: Callable[[], object]) -> float:
    began = time.monotonic()
    call()
    return time.monotonic() - began


def _ours(guest: Guest) -> dict[str, Any]:
    args = {"id": ONE, "location": f"tenant/{ONE}"}
    return guest.manager.call("create_backup", args, lambda _: None)


def _bare(guest: Guest, port: int) -> None:
    """As an operator pipes it: the tool, zstd, and objects of the same size, one after another."""
    data, notes = guest.server.volume / "data", guest.server.root / "notes"
    command = ["mariadb-backup", "--no-defaults", "--backup", "--stream=mbstream"]
    where = [f"--datadir={data}", f"--socket={data / SOCKET}", f"--target-dir={notes}"]
    connection = http.client.HTTPConnection(HOST, port)
    quiet = subprocess.DEVNULL
    with (
        subprocess.Popen(
            [*command, *where, f"--user={agent_account()}"], stdout=subprocess.PIPE, stderr=quiet
        ) as tool,
        subprocess.Popen(
            ["zstd", "-3", "--single-thread", "-c"], stdin=tool.stdout, stdout=subprocess.PIPE
        ) as packed,
    ):
        assert packed.stdout is not None
        number = 0
        while part := packed.stdout.read(PART_BYTES):
            connection.request("PUT", f"/bare/{number}", part)
            connection.getresponse().read()
            number += 1
    connection.close()
    assert (tool.returncode, packed.returncode) == (0, 0)
