"""A server of its own on data of PostgreSQL, for the agent alone: one that is tried out, one that
is read, one that is made.

It has no network, and none of the settings that the data bring: those in their files are not read,
and what somebody has chosen for a database or a role yields to what a client asks for (`FREE`).
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Final

from guest_agent.datastores.postgresql.server import PostgreSQLServer

WITH_EVENT_TRIGGERS_OFF: Final = 17
"""The first major that can have none run."""
CHOSEN: Final = "postgresql.auto.conf"
"""In a data directory: what ALTER SYSTEM has written. It is read in any case."""
_ALONE: Final = {
    "config_file": "/dev/null",
    "listen_addresses": "",
    "unix_socket_directories": ".",
    "unix_socket_permissions": "0700",
    "archive_mode": "off",
    "autovacuum": "off",
    "max_wal_senders": "0",
    "max_logical_replication_workers": "0",
    "max_worker_processes": "0",
    "shared_preload_libraries": "",
    "fsync": "off",
    "log_line_prefix": "",
    "full_page_writes": "off",
}
_SMALL: Final = {
    "shared_buffers": "32MB",
    "maintenance_work_mem": "32MB",
    "max_connections": "10",
    # Those that the data hold go on with it.
    "max_prepared_transactions": "1000",
}
FREE: Final = {
    # What is chosen for one database, which no setting of the server stands above.
    "search_path": "pg_catalog",
    "role": "none",
    "row_security": "off",
    "default_transaction_read_only": "off",
    "statement_timeout": "0",
    "lock_timeout": "0",
    "idle_session_timeout": "0",
    "idle_in_transaction_session_timeout": "0",
    "local_preload_libraries": "",
    "maintenance_work_mem": _SMALL["maintenance_work_mem"],
}
"""Of a session that reads: what an owner has set for a database keeps none of it from being read,
and is no fault of the data."""


def command(
    server: PostgreSQLServer,
    data: Path,
    logins: Path,
    identities: Path,
    more: Mapping[str, str] | None = None,
) -> list[str]:
    """What starts it on `data`, where its socket is; `logins` say who is let in."""
    chosen = {
        **_ALONE,
        **_SMALL,
        "hba_file": str(logins),
        "ident_file": str(identities),
        **(more or {}),
    }
    if server.major >= WITH_EVENT_TRIGGERS_OFF:
        chosen["event_triggers"] = "off"
    settings = [word for name, each in chosen.items() for word in ("-c", f"{name}={each}")]
    return [server.program("postgres"), "-D", str(data), *settings]


def options(chosen: Mapping[str, str]) -> str:
    """Settings as a client asks for them, none of which has a space."""
    return " ".join(f"-c {name}={each}" for name, each in chosen.items())


def to_database(name: str, chosen: Mapping[str, str]) -> str:
    """What a client of the server's own is told in the place of a database's name, in which much
    could stand that is none."""
    return f"dbname={_quoted(name)} options={_quoted(options(chosen))}"


def _quoted(value: str) -> str:
    escaped = value.replace("\\", "\\\\").replace("'", "\\'")
    return f"'{escaped}'"
