"""MariaDB, the services' database, in a folder of its own.

The schemas take minutes to make, so that a copy of the folder with all of them in it is kept, and
the next OpenStack of the same releases begins with it.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path
from typing import Final

from infra.local.processes import PartProcess
from tests.openstack.site import HOST, START_SECONDS, Site, listens

DATABASES: Final = (
    *("keystone", "placement", "glance", "neutron", "cinder"),
    *("nova", "nova_api", "nova_cell0"),
)
INSTALL_SECONDS: Final = 120


def start(site: Site, kept: Path) -> PartProcess:
    """Start it on a new folder, or on a copy of the kept one, with the databases and their user."""
    folder = site.folder("mariadb")
    data = folder / "data"
    if kept.is_dir() and not data.exists():
        shutil.copytree(kept, data, symlinks=True)
    elif not data.exists():
        _install(data)
    command = _command(site, data)
    if os.geteuid() == 0:
        _give(folder, "mysql")
    part = site.start("mariadb", command)
    part.wait_until(listens(site.ports["mariadb"]), START_SECONDS)
    return part


def keep(site: Site, part: PartProcess, kept: Path) -> None:
    """Stop it, keep a copy of its folder, and start it again."""
    part.stop()
    new = kept.with_suffix(".new")
    shutil.rmtree(new, ignore_errors=True)
    new.parent.mkdir(parents=True, exist_ok=True)
    shutil.copytree(site.folder("mariadb") / "data", new, symlinks=True)
    new.replace(kept)
    start(site, kept)


def _install(data: Path) -> None:
    subprocess.run(
        ["mariadb-install-db", "--no-defaults", *_places(data), "--skip-test-db"],
        check=True,
        capture_output=True,
        timeout=INSTALL_SECONDS,
    )


def _places(data: Path) -> tuple[str, str]:
    """A server that starts removes the temporary tables of others that share its tmpdir."""
    return f"--datadir={data}", f"--tmpdir={data}"


def _command(site: Site, data: Path) -> list[str]:
    """It holds nothing that has to outlive the machine: no write waits for the disk."""
    return [
        *("mariadbd", "--no-defaults", *_places(data), f"--init-file={_first_words(site)}"),
        *(f"--bind-address={HOST}", f"--port={site.ports['mariadb']}"),
        *(f"--socket={data}/socket", f"--pid-file={data}/pid", "--max-connections=1000"),
        *("--innodb-flush-log-at-trx-commit=0", "--innodb-flush-method=nosync"),
        *("--innodb-log-file-size=16M", "--innodb-doublewrite=0", "--skip-name-resolve"),
        *("--character-set-server=utf8mb3", "--collation-server=utf8mb3_general_ci"),
        *(["--user=mysql"] if os.geteuid() == 0 else []),
    ]


def _first_words(site: Site) -> Path:
    """What it runs at its start: the databases, and the user with this OpenStack's password."""
    user = f"'openstack'@'{HOST}'"
    statements = [
        *(f"CREATE DATABASE IF NOT EXISTS {name};" for name in DATABASES),
        f"CREATE USER IF NOT EXISTS {user};",
        f"ALTER USER {user} IDENTIFIED BY '{site.password}';",
        f"GRANT ALL ON *.* TO {user};",
    ]
    file = site.folder("mariadb") / "first-words.sql"
    file.touch(mode=0o600)
    file.write_text("\n".join([*statements, ""]))
    return file


def _give(folder: Path, owner: str) -> None:
    for path in (folder, *folder.rglob("*")):
        shutil.chown(path, owner, owner)
