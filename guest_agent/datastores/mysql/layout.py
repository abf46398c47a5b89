"""Where MySQL's files are on a guest: as MariaDB's, with a socket of its own name."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Final

from guest_agent.datastores import processes
from guest_agent.datastores.mariadb import layout

SOCKET: Final = "mysqld.sock"


@dataclass(frozen=True)
class Layout(layout.Layout):
    PROGRAM: ClassVar = "mysqld"
    SOCKET: ClassVar = SOCKET
    PID_FILE: ClassVar = "mysqld.pid"
    FIXED: ClassVar = Path(__file__).with_name("config.cnf")

    @property
    def base(self) -> Path:
        """Where its messages, character sets and plugins are: it may be installed anywhere."""
        return Path(processes.program(self.PROGRAM)).resolve().parents[1]

    @property
    def named(self) -> dict[str, object]:
        return {**super().named, "base": self.base}
