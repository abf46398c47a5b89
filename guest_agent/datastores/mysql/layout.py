"""Where MySQL's files are on a guest: as MariaDB's, with a socket of its own name."""

from __future__ import annotations

from typing import Final

SOCKET: Final = "mysqld.sock"
PID_FILE: Final = "mysqld.pid"
