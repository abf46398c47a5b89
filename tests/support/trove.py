"""A MariaDB as Trove's guests have it, and the backup that Trove's container makes of it.

`os_admin` has all rights from anywhere, a root was enabled, and no account is let in by a socket.
What the tool writes goes through gzip, and nothing else.
Source: Trove's `guestagent/datastore/mysql_common/service.py` and `backup/drivers/mariabackup.py`.
"""

from __future__ import annotations

import gzip
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import pymysql

from guest_agent.datastores.os_user import OsUser, database_user
from guest_agent.datastores.processes import program

ADMIN_PASSWORD: Final = "of-the-old-guest"
PASSWORD: Final = "kept-secret"
ROWS: Final = 500
READY_SECONDS: Final = 60.0
STATEMENTS: Final = (
    f"CREATE USER os_admin@'%' IDENTIFIED BY '{ADMIN_PASSWORD}'",
    "GRANT ALL PRIVILEGES ON *.* TO os_admin@'%' WITH GRANT OPTION",
    f"CREATE USER os_admin@localhost IDENTIFIED BY '{ADMIN_PASSWORD}'",
    "GRANT ALL PRIVILEGES ON *.* TO os_admin@localhost WITH GRANT OPTION",
    f"CREATE USER root@'%' IDENTIFIED BY '{ADMIN_PASSWORD}'",
    "GRANT ALL PRIVILEGES ON *.* TO root@'%' WITH GRANT OPTION",
    f"CREATE USER slave_a1b2@'%' IDENTIFIED BY '{ADMIN_PASSWORD}'",
    "GRANT REPLICATION SLAVE ON *.* TO slave_a1b2@'%'",
    f"CREATE USER mighty@'%' IDENTIFIED BY '{PASSWORD}'",
    "GRANT FILE, SUPER, SELECT ON *.* TO mighty@'%'",
    "CREATE DATABASE shop",
    f"CREATE USER carol@'%' IDENTIFIED BY '{PASSWORD}'",
    "GRANT ALL PRIVILEGES ON shop.* TO carol@'%'",
    "CREATE TABLE shop.numbers (n INT PRIMARY KEY, words VARCHAR(200))",
    f"INSERT INTO shop.numbers SELECT seq, REPEAT('word ', 30) FROM shop.seq_1_to_{ROWS}",
    "CREATE DEFINER=carol@'%' EVENT shop.tick ON SCHEDULE EVERY 1 SECOND"
    " DO INSERT IGNORE INTO shop.numbers VALUES (1000000 + UNIX_TIMESTAMP(), 'an event has run')",
    "DROP USER IF EXISTS root@localhost, mysql@localhost, ''@localhost",
)


@contextmanager
def mariadb() -> Iterator[Path]:
    """The folder of a server that Trove has prepared; its socket is `socket` in there."""
    folder = Path(tempfile.mkdtemp(prefix="coffer-trove-"))
    user = database_user("mysql", Path("/"))
    folder.chmod(0o755)
    user.make_folder(folder / "data")
    user.make_folder(folder / "tmp")
    try:
        _run(
            [
                program("mariadb-install-db"),
                *("--no-defaults", *_places(folder), "--skip-test-db"),
                "--auth-root-authentication-method=normal",
            ],
            user,
        )
        with _server(folder, user):
            yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def stream(folder: Path, *more: str) -> bytes:
    """What mariadb-backup writes of it, as Trove calls it."""
    command = [
        *(program("mariadb-backup"), "--no-defaults", "--backup", "--stream=xbstream"),
        *("--user=os_admin", f"--password={ADMIN_PASSWORD}", "--host=localhost"),
        *(f"--socket={folder / 'data/socket'}", f"--datadir={folder / 'data'}"),
        *(f"--target-dir={folder}", *more),
    ]
    return _run(command, database_user("mysql", Path("/")))


def zipped(content: bytes) -> bytes:
    """What is put into Swift as `<backup>.xbstream.gz`."""
    return gzip.compress(content, 1)


def asked(folder: Path, *statements: str) -> None:
    """Statements of its administrator."""
    with _connected(folder, "os_admin", ADMIN_PASSWORD) as connection:
        for each in statements:
            connection.cursor().execute(each)


def _places(folder: Path) -> tuple[str, str]:
    """A server that starts removes the temporary tables of others that share its tmpdir."""
    return f"--datadir={folder / 'data'}", f"--tmpdir={folder / 'tmp'}"


def _run(command: list[str], user: OsUser) -> bytes:
    done = subprocess.run(
        command, capture_output=True, timeout=120, check=False, cwd="/", **user.child_options()
    )
    assert done.returncode == 0, done.stderr.decode(errors="replace")[-2000:]
    return bytes(done.stdout)


@contextmanager
def _server(folder: Path, user: OsUser) -> Iterator[None]:
    process = subprocess.Popen(
        [
            program("mariadbd"),
            *("--no-defaults", *_places(folder), "--socket=socket"),
            *("--skip-networking", "--innodb-log-file-size=16M", "--event-scheduler=OFF"),
        ],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        cwd="/",
        **user.child_options(),
    )
    try:
        until = time.monotonic() + READY_SECONDS
        while not (folder / "data/socket").exists():
            assert process.poll() is None, "the server has ended"
            assert time.monotonic() < until, "the server does not answer"
            time.sleep(0.05)
        with _connected(folder, "root", "") as connection:
            for each in STATEMENTS:
                connection.cursor().execute(each)
        yield
    finally:
        process.terminate()
        process.wait(READY_SECONDS)


@contextmanager
def _connected(folder: Path, user: str, password: str) -> Iterator[Any]:
    socket = str(folder / "data/socket")
    with pymysql.connect(
        unix_socket=socket, user=user, password=password, autocommit=True
    ) as connection:
        yield connection
