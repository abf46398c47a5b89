"""A PostgreSQL as Trove's guests have it, and the backup that Trove's container makes of it.

It is a server of the image `postgres`: its superuser is `postgres`, who has a password and is let
in from everywhere, and its databases sort by `en_US.utf8`, which no guest here has. The backup is
one gzipped tar of the data directory, with the log that it needs.
Source: Trove's `guestagent/datastore/postgres/service.py` and `backup/drivers/postgres.py`.
"""

from __future__ import annotations

import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import pg8000.native

from guest_agent.datastores.os_user import OsUser, database_user
from guest_agent.datastores.processes import program
from infra.parameters import engines
from tests.support.postgresql import MAJOR

ADMIN_PASSWORD: Final = "of-the-old-guest"
PASSWORD: Final = "kept-secret"
LOCALE: Final = "en_US.utf8"
OF_LATIN: Final = "de_DE.iso88591"
ROWS: Final = 500
READY_SECONDS: Final = 60.0
SHOP: Final = "shop"
AT_FIRST: Final = (
    f"ALTER ROLE postgres PASSWORD '{ADMIN_PASSWORD}'",
    f"CREATE ROLE replicator REPLICATION LOGIN PASSWORD '{ADMIN_PASSWORD}'",
    f"CREATE ROLE carol LOGIN PASSWORD '{PASSWORD}'",
    "SET password_encryption = 'md5'",
    f"CREATE ROLE olga LOGIN PASSWORD '{PASSWORD}'",
    f"CREATE DATABASE {SHOP}",
    f"GRANT ALL PRIVILEGES ON DATABASE {SHOP} TO carol",
)
IN_SHOP: Final = (
    "GRANT ALL ON SCHEMA public TO carol",
    "SET ROLE carol",
    "CREATE TABLE numbers (n INT PRIMARY KEY, words TEXT)",
    f"INSERT INTO numbers SELECT n, repeat('word ', 30) FROM generate_series(1, {ROWS}) n",
)


class Trove:
    """A server that runs in a folder, where its socket is."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.data = folder / "data"

    def ask(self, *statements: str, database: str = SHOP, user: str = "postgres") -> Any:
        """Statements of somebody; the rows of the last one."""
        with connected(self.folder, database, user) as connection:
            return [connection.run(each) for each in statements][-1]

    def tar(self) -> bytes:
        """What pg_basebackup writes of it, as Trove calls it."""
        command = [
            *(_program("pg_basebackup"), "--username=postgres", f"--host={self.folder}"),
            *("--format=tar", "--gzip", "--wal-method=fetch", "--label=a-backup"),
            *("--checkpoint=fast", "--pgdata=-"),
        ]
        return _run(command, _user())


@contextmanager
def postgresql(locale: str = LOCALE) -> Iterator[Trove]:
    """A server that Trove has prepared, with a database and a user."""
    folder = Path(tempfile.mkdtemp(prefix="coffer-trove-"))
    folder.chmod(0o755)
    try:
        with _started(folder, locale) as made:
            made.ask(*AT_FIRST, database="postgres")
            made.ask(*IN_SHOP)
            yield made
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def _started(folder: Path, locale: str) -> Iterator[Trove]:
    user = _user()
    locales = folder / "locales"
    locales.mkdir()
    for name, of, charmap in (LOCALE, "en_US", "UTF-8"), (OF_LATIN, "de_DE", "ISO-8859-1"):
        source = [f"--inputfile={of}", f"--charmap={charmap}", str(locales / name)]
        subprocess.run([program("localedef"), *source], check=True, timeout=60)
    user.make_folder(folder / "data")
    there = {"LOCPATH": str(locales)}
    initdb = ["-U", "postgres", "-D", str(folder / "data"), "--auth=trust", "--no-sync"]
    _run([_program("initdb"), *initdb, f"--locale={locale}"], user, there)
    folder.chmod(0o777)
    process = subprocess.Popen(
        [
            *(_program("postgres"), "-D", str(folder / "data"), "-c", "listen_addresses="),
            *("-c", f"unix_socket_directories={folder}", "-c", "fsync=off"),
            *("-c", "max_prepared_transactions=10", "-c", "shared_buffers=16MB"),
        ],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        cwd="/",
        env={"PATH": "/usr/bin:/bin", **there},
        **user.child_options(),
    )
    try:
        until = time.monotonic() + READY_SECONDS
        while not _answers(folder):
            assert process.poll() is None, "the server has ended"
            assert time.monotonic() < until, "the server does not answer"
            time.sleep(0.05)
        yield Trove(folder)
    finally:
        process.send_signal(2)
        process.wait(READY_SECONDS)


@contextmanager
def connected(folder: Path, database: str, user: str) -> Iterator[pg8000.native.Connection]:
    connection = pg8000.native.Connection(
        user, database=database, unix_sock=str(folder / ".s.PGSQL.5432")
    )
    try:
        yield connection
    finally:
        connection.close()


def _answers(folder: Path) -> bool:
    try:
        with connected(folder, "postgres", "postgres"):
            return True
    except (pg8000.native.InterfaceError, pg8000.native.DatabaseError):
        return False


def _user() -> OsUser:
    return database_user("postgres", Path("/"))


def _program(name: str) -> str:
    place = engines.postgresql(MAJOR)
    return str(place / MAJOR / "bin" / name) if place is not None else program(name)


def _run(command: list[str], user: OsUser, there: dict[str, str] | None = None) -> bytes:
    done = subprocess.run(
        command,
        capture_output=True,
        timeout=120,
        check=False,
        cwd="/",
        env={"PATH": "/usr/bin:/bin", **(there or {})},
        **user.child_options(),
    )
    assert done.returncode == 0, done.stderr.decode(errors="replace")[-2000:]
    return bytes(done.stdout)
