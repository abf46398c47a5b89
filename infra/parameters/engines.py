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

from infra.parameters import variables

T = TypeVar("T")
Row: TypeAlias = dict[str, Any]
Rows: TypeAlias = dict[str, Row]

START_SECONDS: Final = 240.0
STOP_SECONDS: Final = 60.0
_CACHE: Final = Path(__file__).parents[2] / ".cache"
MYSQL: Final = _CACHE / "mysql"
"""Where `make test-mysql` has put MySQL, which no stable Debian has."""
POSTGRESQL: Final = (
    Path("/usr/lib/postgresql"),  # Debian's
    _CACHE / "postgresql",  # of PyPI: `make test-postgresql`
)
"""Where a major version of PostgreSQL may be, in a folder of its number."""


def mariadb_variables() -> Rows:
    """The rows of `information_schema.system_variables` by name."""
    with _folder("mysql") as folder:
        data, plug = folder / "data", folder / "s"
        made = ["mariadb-install-db", "--no-defaults", f"--datadir={data}", "--skip-test-db"]
        made.append(f"--tmpdir={folder}")
        _run([*made, "--auth-root-authentication-method=normal"], "mysql")
        server = [_found("mariadbd"), "--no-defaults", "--skip-networking"]
        return _of_running(
            [*server, f"--datadir={data}", f"--tmpdir={folder}", f"--socket={plug}"],
            "mysql",
            lambda: variables.of_mariadb(str(plug)),
            (OSError, pymysql.OperationalError),
        )


def mysql_variables(names: list[str]) -> Rows:
    """What MySQL tells of variables, by name."""
    program = MYSQL / "usr" / "sbin" / "mysqld"
    with _folder("mysql") as folder:
        data, plug = folder / "data", folder / "s"
        bare = [str(program), "--no-defaults", f"--datadir={data}", f"--basedir={MYSQL / 'usr'}"]
        _run([*bare, "--initialize-insecure"], "mysql")
        own = ["--skip-networking", "--mysqlx=OFF", "--secure-file-priv=", f"--socket={plug}"]
        return _of_running(
            [*bare, *own],
            "mysql",
            lambda: variables.of_mysql(str(plug), names),
            (OSError, pymysql.OperationalError),
        )


def postgresql(major: str) -> Path | None:
    """The place in which there is a folder with that major version of PostgreSQL."""
    found = (place for place in POSTGRESQL if (place / major / "bin" / "postgres").exists())
    return next(found, None)


def postgresql_settings(major: str) -> Rows:
    """The rows of `pg_settings` by name."""
    with _folder("postgres") as folder:
        data = str(folder / "data")
        programs = (postgresql(major) or POSTGRESQL[0]) / major / "bin"
        initdb, postgres = (str(programs / each) for each in ("initdb", "postgres"))
        _run([initdb, "-D", data, "-U", "postgres", "-A", "trust", "--no-sync"], "postgres")
        query = "SELECT json_agg(each) FROM pg_settings AS each"
        told = _told(
            [postgres, "-D", data, "-k", str(folder), "-h", ""],
            "postgres",
            ["psql", "-X", "-h", str(folder), "-U", "postgres", "-A", "-t", "-c", query],
        )
    return {row["name"]: row for row in msgspec.json.decode(told, type=list[Row])}


def redis_settings() -> dict[str, str]:
    """What `CONFIG GET *` tells."""
    with _folder("redis") as folder:
        plug = str(folder / "s")
        told = _told(
            [_found("redis-server"), "--port", "0", "--unixsocket", plug, "--dir", str(folder)],
            "redis",
            ["redis-cli", "-s", plug, "--json", "CONFIG", "GET", "*"],
        )
    return msgspec.json.decode(told, type=dict[str, str])


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


def _told(command: list[str], user: str, ask: list[str]) -> bytes:
    """What a client tells of a server that is started for it, once that answers."""

    def asked() -> bytes:
        return subprocess.run(ask, capture_output=True, check=True, timeout=START_SECONDS).stdout

    return _of_running(command, user, asked, subprocess.CalledProcessError)


def _of_running(
    command: list[str],
    user: str,
    ask: Callable[[], T],
    silent: type[Exception] | tuple[type[Exception], ...],
) -> T:
    """What is asked of a server that is started for it; `silent` is raised until it answers."""
    quiet = subprocess.DEVNULL
    server = subprocess.Popen(command, cwd="/", stdout=quiet, stderr=quiet, **_as(user))
    try:
        deadline = time.monotonic() + START_SECONDS
        while server.poll() is None and time.monotonic() < deadline:
            try:
                return ask()
            except silent:
                time.sleep(0.1)
        raise TimeoutError(f"{command[0]} did not answer")
    finally:
        server.send_signal(signal.SIGINT if "postgres" in command[0] else signal.SIGTERM)
        server.wait(STOP_SECONDS)
