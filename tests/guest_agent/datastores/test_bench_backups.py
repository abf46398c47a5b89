"""What a backup costs: its throughput and a restore's beside the bare tools' with the same store,
its memory at any size, and what it takes from the database while it is made."""

from __future__ import annotations

import http.client
import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final

import msgspec
import pytest
import redis

from chalicelib.bus.contract.answers import BackedUp
from chalicelib.bus.contract.arguments import StoredBackup
from guest_agent import birth, datastores
from tests.guest_agent.backups import measured, sink
from tests.guest_agent.backups.objects import ONE
from tests.guest_agent.control_plane import wait_for
from tests.guest_agent.datastores import bare_tools
from tests.guest_agent.datastores.customer import ENGINES, PASSWORD, Engine, Guest, server_of
from tests.guest_agent.datastores.numbered import numbering
from tests.guest_agent.datastores.test_backups import guest_of, restore_args
from tests.support.loopback import HOST, free_port

pytestmark = [pytest.mark.bench, pytest.mark.database]
SIZES_MIB: Final = (100, 2000)
ROUNDS: Final = 3
FILLED_MIB: Final = 150
MOST_RATIO: Final = 3.0
"""Times as long as the bare tools take, of a restore of some hundred MiB beside other work: those
of the agent are one process, and end when all of it is on the disk."""
MOST_GROWTH_MIB: Final = 32.0
"""Of one part more at work when its memory was looked at."""
IDLE_SECONDS: Final = 5.0
LEAST_SHARE: Final = 0.1
"""Of what its customer commits when no backup is made, on two cores that do all of it."""
HALF_BYTES: Final = 512
FILLING: Final = {
    "mariadb": "INSERT INTO filled SELECT CONCAT(RANDOM_BYTES(512), REPEAT('a', 512))"
    " FROM seq_1_to_{}",
    "postgresql": "INSERT INTO filled SELECT decode(string_agg(md5(random()::text), ''), 'hex')"
    " || convert_to(repeat('a', 512), 'UTF8') FROM generate_series(1, {}) row,"
    " generate_series(1, 32) GROUP BY row",
}


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


def fill(guest: Guest) -> None:
    """Give it some data, of which half can be compressed."""
    rows = FILLED_MIB * 1024
    if guest.engine.manager == "redis":
        with redis.Redis(guest.server.address, password=PASSWORD) as client:
            for first in range(0, rows, 1000):
                with client.pipeline(transaction=False) as pipe:
                    for number in range(first, first + 1000):
                        pipe.set(f"filled:{number}", os.urandom(HALF_BYTES) + bytes(HALF_BYTES))
                    pipe.execute()
        return
    kind = {"mariadb": "VARBINARY(1024)", "postgresql": "BYTEA"}[guest.engine.manager]
    guest.ask(f"CREATE TABLE filled (a {kind})")
    guest.ask(FILLING[guest.engine.manager].format(rows))


@pytest.mark.parametrize("engine", ENGINES, ids=[each.manager for each in ENGINES])
def test_a_backup_and_a_restore_beside_the_bare_tools(
    engine: Engine, port: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with guest_of(engine, monkeypatch) as guest:
        fill(guest)
        guest.manager.open_store = lambda *_: measured.store(f"http://{HOST}:{port}")
        made = list[BackedUp]()
        backed_up = _compared(
            lambda _: made.append(back_up(guest)), lambda _: bare_tools.back_up(guest, port)
        )

    def into_folder(number: int) -> None:
        folder = tmp_path / f"restored-{number}"
        folder.mkdir()
        bare_tools.restore(engine, port, folder)

    restored = _compared(
        lambda _: fetched(engine, port, made[-1]),
        into_folder,
    )
    size = made[-1].data_size / 1024**2
    for what, (ours, bare) in {"backup": backed_up, "restore": restored}.items():
        print(  # noqa: T201 - what a benchmark is for
            f"\n{engine.manager}: {what} of {size:.0f} MiB: {size / ours:.0f} MiB/s through the "
            f"agent, {size / bare:.0f} MiB/s by the tools alone; {ours / bare:.2f} times as long"
        )
    assert max(ours / bare for ours, bare in (backed_up, restored)) < MOST_RATIO


def _compared(ours: Callable[[int], object], bare: Callable[[int], object]) -> tuple[float, float]:
    """The seconds that both take, by turns."""
    seconds: dict[Any, list[float]] = {ours: [], bare: []}
    for number in range(ROUNDS):
        for each in (bare, ours):
            os.sync()  # what the other one has left to be written is not for this one to wait for
            began = time.monotonic()
            each(number)
            seconds[each].append(time.monotonic() - began)
    return statistics.median(seconds[ours]), statistics.median(seconds[bare])


def back_up(guest: Guest) -> BackedUp:
    args = {"id": ONE, "location": f"tenant/{ONE}"}
    said = guest.manager.call("create_backup", args, lambda _: None)
    return msgspec.convert(said, BackedUp)


def fetched(engine: Engine, port: int, made: BackedUp) -> None:
    """By an agent on a volume of its own."""
    with server_of(engine) as server:
        manager = datastores.manager(birth.load(server.root))
        manager.open_store = lambda *_: measured.store(f"http://{HOST}:{port}")
        chain = [StoredBackup(ONE, f"tenant/{ONE}", made.checksum)]
        manager.call("fetch_backup", restore_args(engine, chain), lambda _: None)


@pytest.mark.parametrize("engine", ENGINES, ids=[each.manager for each in ENGINES])
def test_what_it_takes_from_the_database(
    engine: Engine, port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    with guest_of(engine, monkeypatch) as guest:
        fill(guest)
        guest.manager.open_store = lambda *_: measured.store(f"http://{HOST}:{port}")
        with numbering(guest) as rows:
            idle, busy, waits = list[float](), list[float](), list[float]()
            for _ in range(ROUNDS):
                idle.append(_rate(lambda: rows.committed, lambda: time.sleep(IDLE_SECONDS)))
                before = len(rows.times)
                busy.append(_rate(lambda: rows.committed, lambda: back_up(guest)))
                waits.append(max(after - begun for begun, after in rows.times[before:]))
    one, other, longest = map(statistics.median, (busy, idle, waits))
    print(  # noqa: T201 - what a benchmark is for
        f"\n{engine.manager}: {other:.0f} commits a second by one customer, {one:.0f} while a "
        f"backup is made: {100 * one / other:.0f} %; the longest took {longest:.0f} ms"
    )
    assert one / other > LEAST_SHARE


def _rate(count: Callable[[], int], during: Callable[[], object]) -> float:
    began, before = time.monotonic(), count()
    during()
    return (count() - before) / (time.monotonic() - began)
