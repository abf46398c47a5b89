"""Where MariaDB's files are on a guest, beside those that every engine has."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Final

from guest_agent.datastores import layout

SOCKET: Final = "mariadbd.sock"  # inside the data directory: an absolute path may be too long
PID_FILE: Final = "mariadbd.pid"


@dataclass(frozen=True)
class Layout(layout.Layout):
    """What is outside of the volume follows from the server's flavor, and is written again."""

    SUFFIX: ClassVar = "cnf"
    PROGRAM: ClassVar = "mariadbd"
    """The server, after which its sections in option files are named."""
    SOCKET: ClassVar = SOCKET
    PID_FILE: ClassVar = PID_FILE
    FIXED: ClassVar = Path(__file__).with_name("config.cnf")

    @property
    def config(self) -> Path:
        return self.root / "etc/mysql/coffer.cnf"

    @property
    def layers(self) -> Path:
        return self.root / "etc/mysql/coffer.d"

    @property
    def log_layer(self) -> Path:
        """What switches the binary log on, and stands above what a customer may choose."""
        return self.layers / f"90-log.{self.SUFFIX}"

    @property
    def binary_logs(self) -> Path:
        """Beside the data: a folder in there would be a database."""
        return self.volume / "binlog"

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

    @property
    def named(self) -> dict[str, object]:
        """The places that the text of `FIXED` names."""
        return {
            "layers": self.layers,
            "data": self.data,
            "scratch": self.scratch,
            "socket": self.SOCKET,
            "pid_file": self.PID_FILE,
            "error_log": self.error_log,
            "exchange": self.exchange,
            "init_file": self.init_file,
        }
