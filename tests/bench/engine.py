"""The engines by hand: from nothing to the first answer, without Coffer."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final, NamedTuple

import psutil
import pymysql
import redis
from pg8000 import native

from guest_agent.datastores import processes
from tests.support.loopback import free_address

WITHIN_SECONDS: Final = 60.0
LOOK_SECONDS: Final = 0.02
NOT_YET: Final = (
    *(pymysql.err.OperationalError, redis.ConnectionError),
    *(native.InterfaceError, native.DatabaseError),
)
"""What clients raise of a server that does not answer yet."""
HBA: Final = "pg_hba.conf"


class ByHand(NamedTuple):
    """How a person would bring an engine up: `make` its data, `serve` them at an address, `ask`."""

    user: str
    make: Callable[[Path], list[str]]
    serve: Callable[[Path, str], list[str]]
    ask: Callable[[str], None]


class Up(NamedTuple):
    """A server that has answered."""

    seconds: float
    """From an empty folder to the first answer."""
    again: Callable[[], float]
    """Ends it in order, and starts it; seconds to the first answer."""
    memory: Callable[[], int]
    """Bytes that it holds; what its processes share is counted once."""


def bring_up_seconds() -> float:
    """Seconds from an empty folder to the first `SELECT 1` of a MariaDB."""
    with up("mariadb") as server:
        return server.seconds


def restart_seconds() -> float:
    """Seconds from the order to end, to the first `SELECT 1` of the next process."""
    with up("mariadb") as server:
        return server.again()


def memory_of(process: psutil.Process) -> int:
    """Bytes of a process and of those that it has started, each shared page once."""
    total = 0
    for each in (process, *process.children(recursive=True)):
        with suppress(psutil.NoSuchProcess):
            total += int(each.memory_full_info().pss)
    return total


@contextmanager
def up(datastore: str) -> Iterator[Up]:
    """A server of that datastore, gone at the end with its data."""
    by_hand, address = ENGINES[datastore], free_address()
    folder = Path(tempfile.mkdtemp(prefix="coffer-bench-", dir="/var/tmp"))
    shutil.chown(folder, by_hand.user)
    folder.chmod(0o750)
    running: list[subprocess.Popen[bytes]] = []

    def start() -> None:
        command = by_hand.serve(folder, address)
        running.append(
            subprocess.Popen(
                command,
                user=by_hand.user,
                cwd="/",
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
            )
        )
        _first_answer(by_hand.ask, address)

    def again() -> float:
        began = time.perf_counter()
        running[-1].terminate()
        running[-1].wait()
        start()
        return time.perf_counter() - began

    try:
        began = time.perf_counter()
        subprocess.run(
            by_hand.make(folder), user=by_hand.user, cwd="/", check=True, capture_output=True
        )
        start()
        seconds = time.perf_counter() - began
        yield Up(seconds, again, lambda: memory_of(psutil.Process(running[-1].pid)))
    finally:
        for each in running:
            each.terminate()
            each.wait()
        shutil.rmtree(folder, ignore_errors=True)


def _first_answer(ask: Callable[[str], None], address: str) -> None:
    deadline = time.monotonic() + WITHIN_SECONDS
    while True:
        try:
            ask(address)
            return
        except NOT_YET:
            if time.monotonic() > deadline:
                raise
            time.sleep(LOOK_SECONDS)


def _make_mariadb(folder: Path) -> list[str]:
    made = ["mariadb-install-db", "--no-defaults", f"--datadir={folder}", f"--tmpdir={folder}"]
    return [*made, "--skip-test-db", "--auth-root-authentication-method=normal"]


def _serve_mariadb(folder: Path, address: str) -> list[str]:
    return [
        *("/usr/sbin/mariadbd", "--no-defaults", f"--datadir={folder}", "--socket=mysqld.sock"),
        *(f"--bind-address={address}", "--port=3306", "--skip-networking=0"),
        *("--skip-grant-tables", f"--tmpdir={folder}"),
    ]


def _ask_mariadb(address: str) -> None:
    with pymysql.connect(host=address, user="root") as connection:
        connection.query("SELECT 1")


def _postgresql(program: str) -> str:
    """The newest that is installed, as the agent finds it."""
    found = Path("/usr/lib/postgresql").glob(f"*/bin/{program}")
    return str(max(found, key=lambda path: int(path.parts[4])))


def _make_postgresql(folder: Path) -> list[str]:
    return [_postgresql("initdb"), f"--pgdata={folder / 'data'}", "--encoding=UTF8"]


def _serve_postgresql(folder: Path, address: str) -> list[str]:
    (folder / HBA).write_text("host all all 127.0.0.0/8 trust\n")
    settings = {
        "listen_addresses": address,
        "hba_file": str(folder / HBA),
        "unix_socket_directories": "",
    }
    chosen = (f"{name}={value}" for name, value in settings.items())
    told = [word for each in chosen for word in ("-c", each)]
    return [_postgresql("postgres"), "-D", str(folder / "data"), *told]


def _ask_postgresql(address: str) -> None:
    with native.Connection("postgres", host=address, ssl_context=False) as connection:
        connection.run("SELECT 1")


def _serve_redis(folder: Path, address: str) -> list[str]:
    return [
        *(processes.program("redis-server"), "--dir", str(folder), "--bind", address),
        *("--appendonly", "yes", "--protected-mode", "no"),
    ]


def _ask_redis(address: str) -> None:
    with redis.Redis(host=address) as connection:
        connection.ping()


ENGINES: Final = {
    "mariadb": ByHand("mysql", _make_mariadb, _serve_mariadb, _ask_mariadb),
    "postgresql": ByHand("postgres", _make_postgresql, _serve_postgresql, _ask_postgresql),
    "redis": ByHand("redis", lambda folder: ["true"], _serve_redis, _ask_redis),
}
"""By the names of datastores."""
