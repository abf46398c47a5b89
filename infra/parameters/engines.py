"""Bare engines, as their packages start them, and what they tell of themselves."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final, TypeAlias, TypeVar

import msgspec
import pymysql
from pg8000 import native
from pymysql.cursors import DictCursor

T = TypeVar("T")
Rows: TypeAlias = dict[str, dict[str, Any]]

START_SECONDS: Final = 60.0
STOP_SECONDS: Final = 60.0
NOT_YET: Final = (OSError, pymysql.Error, native.Error, subprocess.CalledProcessError)
POSTGRESQL: Final = "/usr/lib/postgresql/{major}/bin/{name}"


def mariadb_variables() -> Rows:
    """The rows of `information_schema.system_variables` by name."""
    with _folder("mysql") as folder:
        data, plug = folder / "data", folder / "s"
        made = ["mariadb-install-db", "--no-defaults", f"--datadir={data}", "--skip-test-db"]
        _run([*made, "--auth-root-authentication-method=normal"], "mysql")

        def ask() -> Rows:
            connection = pymysql.connect(unix_socket=str(plug), user="root", ssl_disabled=True)
            with connection, connection.cursor(DictCursor) as cursor:
                cursor.execute("SELECT * FROM information_schema.system_variables")
                return {row["VARIABLE_NAME"].lower(): row for row in cursor.fetchall()}

        options = [f"--datadir={data}", f"--socket={plug}", "--skip-networking"]
        return _told([_found("mariadbd"), "--no-defaults", *options], "mysql", ask)


def postgresql_settings(major: str) -> Rows:
    """The rows of `pg_settings` by name."""
    with _folder("postgres") as folder:
        data = folder / "data"
        initdb, postgres = (
            POSTGRESQL.format(major=major, name=each) for each in ("initdb", "postgres")
        )
        _run([initdb, "-D", str(data), "-U", "postgres", "-A", "trust", "--no-sync"], "postgres")

        def ask() -> Rows:
            plug = str(folder / ".s.PGSQL.5432")
            connection = native.Connection("postgres", unix_sock=plug, ssl_context=False)
            try:
                found = connection.run("SELECT * FROM pg_settings")
                names = [each["name"] for each in connection.columns]
            finally:
                connection.close()
            return {row[0]: dict(zip(names, row, strict=True)) for row in found}

        return _told([postgres, "-D", str(data), "-k", str(folder), "-h", ""], "postgres", ask)


def redis_settings() -> dict[str, str]:
    """What `CONFIG GET *` tells."""
    with _folder("redis") as folder:
        plug = str(folder / "s")

        def ask() -> dict[str, str]:
            asked = ["redis-cli", "-s", plug, "--json", "CONFIG", "GET", "*"]
            told = subprocess.run(asked, capture_output=True, check=True, timeout=START_SECONDS)
            return msgspec.json.decode(told.stdout, type=dict[str, str])

        options = ["--port", "0", "--unixsocket", plug, "--dir", str(folder)]
        return _told([_found("redis-server"), *options], "redis", ask)


def _found(name: str) -> str:
    path = shutil.which(name, path=f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/sbin")
    if path is None:
        raise FileNotFoundError(f"{name} is not installed")
    return path


def _as(user: str) -> dict[str, Any]:
    """No engine runs as root; who is not root runs it as itself."""
    return {"user": user, "group": user, "extra_groups": []} if os.geteuid() == 0 else {}


@contextmanager
def _folder(user: str) -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="coffer-bare-") as folder:
        if os.geteuid() == 0:
            shutil.chown(folder, user, user)
        yield Path(folder)


def _run(command: list[str], user: str) -> None:
    subprocess.run(
        command, check=True, capture_output=True, cwd="/", timeout=START_SECONDS, **_as(user)
    )


def _told(command: list[str], user: str, ask: Callable[[], T]) -> T:
    """What a server that is started for it answers, once it does."""
    quiet = subprocess.DEVNULL
    server = subprocess.Popen(command, cwd="/", stdout=quiet, stderr=quiet, **_as(user))
    try:
        deadline = time.monotonic() + START_SECONDS
        while True:
            try:
                return ask()
            except NOT_YET:
                if server.poll() is not None or time.monotonic() > deadline:
                    raise
                time.sleep(0.1)
    finally:
        server.send_signal(signal.SIGINT if "postgres" in command[0] else signal.SIGTERM)
        server.wait(STOP_SECONDS)
