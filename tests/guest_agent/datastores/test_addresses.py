"""What a server of its own listens at is every address of both families: on the real engines.

PostgreSQL's `*` is that by its manual; the other two differ in what they take it for.
"""

from __future__ import annotations

import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from guest_agent.config import EVERY_ADDRESS
from guest_agent.datastores.redis import configuration as redis
from guest_agent.datastores.redis.layout import Layout as RedisLayout
from tests.acceptance.stack import eventually
from tests.support.loopback import free_port

WITHIN = 60


@pytest.fixture(scope="module", params=["mysql", "redis"])
def port(request: pytest.FixtureRequest) -> Iterator[int]:
    """Where a server without data or grants listens, bound as the agent binds its own."""
    user, port = request.param, free_port()
    folder = Path(tempfile.mkdtemp(prefix="coffer-"))
    shutil.chown(folder, user)
    command = {"mysql": _mariadb, "redis": _redis}[user](folder, port)
    try:
        with _running(command, folder):
            yield port
    finally:
        shutil.rmtree(folder)


def _mariadb(folder: Path, port: int) -> list[str]:
    return [
        *("/usr/sbin/mariadbd", "--no-defaults", f"--datadir={folder}", "--user=mysql"),
        *(f"--bind-address={EVERY_ADDRESS}", f"--port={port}", "--socket=mysqld.sock"),
        *("--skip-grant-tables", "--innodb-log-file-size=4M", f"--tmpdir={folder}"),
    ]


def _redis(folder: Path, port: int) -> list[str]:
    """With the line of the agent's own file."""
    whole = redis.render(RedisLayout(Path("/"), Path("/volume")), EVERY_ADDRESS)
    (bind,) = [line for line in whole.splitlines() if line.startswith("bind ")]
    own = folder / "redis.conf"
    own.write_text(f"{bind}\nport {port}\ndir {folder}\nsave ''\nprotected-mode no\n")
    return ["/usr/bin/redis-server", str(own)]


@contextmanager
def _running(command: list[str], folder: Path) -> Iterator[None]:
    with (folder / "log").open("w") as log:
        server = subprocess.Popen(command, stdout=log, stderr=log)
    try:
        yield
    finally:
        server.kill()
        server.wait()


@pytest.mark.parametrize("host", ["::1", "127.0.0.1"])
def test_it_is_reached_by_ipv6_and_by_ipv4(port: int, host: str) -> None:
    def answers() -> bool:
        try:
            socket.create_connection((host, port), timeout=5).close()
        except ConnectionRefusedError:
            return False
        return True

    eventually(answers, WITHIN, f"it answers at {host}")
