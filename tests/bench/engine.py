"""The engine by hand: MariaDB from nothing to its first answer, without Coffer."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
import time
from pathlib import Path

import pymysql

from tests.support.loopback import free_address

PORT = 3306
USER = "mysql"


def bring_up_seconds() -> float:
    """Seconds from an empty folder to the first `SELECT 1`: install, start, query."""
    return _measured()[0]


def restart_seconds() -> float:
    """Seconds from the order to end, to the first `SELECT 1` of the next process."""
    return _measured(restart=True)[1]


def _measured(*, restart: bool = False) -> tuple[float, float]:
    folder = Path(tempfile.mkdtemp(prefix="coffer-bench-", dir="/var/tmp"))
    folder.chmod(0o755)
    address = free_address()
    data = folder / "data"
    data.mkdir()
    shutil.chown(data, USER)
    began = time.perf_counter()
    install = ["mariadb-install-db", "--no-defaults", f"--datadir={data}", f"--user={USER}"]
    install += ["--skip-test-db", "--auth-root-authentication-method=normal"]
    subprocess.run(install, check=True, capture_output=True)
    server = _started(data, address)
    try:
        _first_answer(address)
        up = time.perf_counter()
        if restart:
            server.terminate()
            server.wait()
            server = _started(data, address)
            _first_answer(address)
        return up - began, time.perf_counter() - up
    finally:
        server.kill()
        server.wait()
        shutil.rmtree(folder, ignore_errors=True)


def _started(data: Path, address: str) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [
            "/usr/sbin/mariadbd",
            "--no-defaults",
            f"--datadir={data}",
            f"--user={USER}",
            f"--bind-address={address}",
            f"--port={PORT}",
            "--socket=mysqld.sock",
            "--skip-grant-tables",
            "--skip-networking=0",
        ],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )


def _first_answer(address: str, within: float = 60) -> None:
    deadline = time.monotonic() + within
    while True:
        try:
            with pymysql.connect(host=address, port=PORT, user="root") as connection:
                connection.query("select 1")
                return
        except pymysql.err.OperationalError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.02)
