"""What a server of its own listens at is every address of both families: on a real MariaDB."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pymysql
import pytest

from guest_agent.config import EVERY_ADDRESS
from tests.acceptance.stack import eventually
from tests.support.loopback import free_port

WITHIN = 60
USER = "mysql"


@pytest.fixture(scope="module")
def port() -> Iterator[int]:
    """Where a server without data or grants listens, bound as the agent binds its own."""
    folder = Path(tempfile.mkdtemp(prefix="coffer-", dir="/var/tmp"))
    shutil.chown(folder, USER)
    port = free_port()
    command = [
        *("/usr/sbin/mariadbd", "--no-defaults", f"--datadir={folder}", f"--user={USER}"),
        *(f"--bind-address={EVERY_ADDRESS}", f"--port={port}", "--socket=mysqld.sock"),
        *("--skip-grant-tables", "--innodb-log-file-size=4M"),
    ]
    with (folder / "log").open("w") as log:
        server = subprocess.Popen(command, stdout=log, stderr=log)
    try:
        yield port
    finally:
        server.kill()
        server.wait()
        shutil.rmtree(folder)


@pytest.mark.parametrize("host", ["::1", "127.0.0.1"])
def test_it_is_reached_by_ipv6_and_by_ipv4(port: int, host: str) -> None:
    def answers() -> bool:
        try:
            pymysql.connect(host=host, port=port, user="root").close()
        except pymysql.err.OperationalError:
            return False
        return True

    eventually(answers, WITHIN, f"it answers at {host}")
