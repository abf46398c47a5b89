"""Where MariaDB's files are on a guest, as paths below the server's root directory."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Final

SOCKET: Final = "mariadbd.sock"  # inside the data directory: an absolute path may be too long
PID_FILE: Final = "mariadbd.pid"


def below(root: Path, path: str) -> Path:
    """An absolute path of the guest, seen from the agent."""
    return root / path.lstrip("/")


@dataclass(frozen=True)
class Layout:
    """`volume` is the mount point; everything durable of the database is on it."""

    root: Path
    volume: Path

    @property
    def data(self) -> Path:
        return self.volume / "data"

    @property
    def unfinished(self) -> Path:
        """The data directory until it is complete; renamed to `data` in one step."""
        return self.volume / "data.unfinished"

    @property
    def scratch(self) -> Path:
        """Temporary tables, on the volume because the root disk is small."""
        return self.volume / "tmp"

    @property
    def config(self) -> Path:
        return self.root / "etc/mysql/coffer.cnf"

    @property
    def layers(self) -> Path:
        """The folder of the settings that are not fixed; a later file's stand for an earlier's."""
        return self.root / "etc/mysql/coffer.d"

    @property
    def flavor_layer(self) -> Path:
        """What follows from the size of the server, and yields to whatever was chosen."""
        return self.layers / "10-flavor.cnf"

    @property
    def exchange(self) -> Path:
        """The only folder that SQL may read or write files in; nobody's but the agent's."""
        return self.root / "var/lib/mysql-files"

    @property
    def init_file(self) -> Path:
        return self.root / "etc/mysql/coffer-init.sql"

    @property
    def error_log(self) -> Path:
        return self.root / "var/log/mysql/error.log"
