"""The journal's store on the guest's disk: one SQLite file, set aside when it turns out torn."""

from __future__ import annotations

import logging
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import msgspec

from chalicelib import aws
from guest_agent.errors import JournalUnusable
from guest_agent.journal import Entry, Outcome

BUSY_SECONDS: Final = 10.0
_SCHEMA: Final = (
    "CREATE TABLE IF NOT EXISTS commands (id TEXT PRIMARY KEY, method TEXT NOT NULL,"
    " started_at REAL NOT NULL, expires_at REAL NOT NULL, outcome BLOB) WITHOUT ROWID",
    "CREATE INDEX IF NOT EXISTS commands_by_expiry ON commands (expires_at)",
    "CREATE TABLE IF NOT EXISTS facts (name TEXT PRIMARY KEY, value REAL NOT NULL)",
)
_log = logging.getLogger(__name__)


class SqliteStore:
    """`JournalStore` on SQLite. Every statement is its own durable transaction.

    A file that fails SQLite's check is renamed to `<name>.corrupt`, and the time is kept: a command
    issued before it may have run although nothing here says so.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = aws.lock()
        path.parent.mkdir(parents=True, exist_ok=True)
        self._aside = path.with_name(path.name + ".corrupt")
        try:
            self._connection = _open(path)
        except sqlite3.OperationalError as error:  # a full disk, a lock: the file may be sound
            raise JournalUnusable(f"The journal {path} cannot be opened: {error}.") from None
        except sqlite3.DatabaseError as error:
            self._set_aside(error)
            self._connection = _open(path)
        self.lost_before = self._lost_before()

    def get(self, command_id: str) -> Entry | None:
        row = self._one("SELECT * FROM commands WHERE id = ?", (command_id,))
        if row is None:
            return None
        key, method, started_at, expires_at, outcome = row
        return Entry(
            id=key,
            method=method,
            started_at=started_at,
            expires_at=expires_at,
            outcome=None if outcome is None else msgspec.json.decode(outcome, type=Outcome),
        )

    def put(self, entry: Entry) -> None:
        outcome = msgspec.json.encode(entry.outcome) if entry.outcome is not None else None
        self._write(
            "INSERT INTO commands VALUES (?, ?, ?, ?, ?) ON CONFLICT (id) DO UPDATE SET"
            " started_at = excluded.started_at, outcome = excluded.outcome",
            (entry.id, entry.method, entry.started_at, entry.expires_at, outcome),
        )

    def prune(self, expired_before: float) -> None:
        self._write("DELETE FROM commands WHERE expires_at < ?", (expired_before,))

    def close(self) -> None:
        """Close the file; used by tests."""
        self._connection.close()

    def _lost_before(self) -> float:
        """Recorded when a file lies aside, even if the agent died right after it was moved."""
        if not self._aside.exists():
            return 0.0
        self._write("INSERT OR IGNORE INTO facts VALUES (?, ?)", (self._aside_mark(), aws.clock()))
        row = self._one("SELECT value FROM facts WHERE name = ?", (self._aside_mark(),))
        assert row is not None
        return float(row[0])

    def _aside_mark(self) -> str:
        return f"lost_before:{self._aside.stat().st_ino}"

    def _one(self, statement: str, values: tuple[object, ...]) -> tuple[Any, ...] | None:
        with self._guarded() as connection:
            row: tuple[Any, ...] | None = connection.execute(statement, values).fetchone()
            return row

    def _write(self, statement: str, values: tuple[object, ...]) -> None:
        with self._guarded() as connection:
            connection.execute(statement, values)

    @contextmanager
    def _guarded(self) -> Iterator[sqlite3.Connection]:
        with self._lock:
            try:
                yield self._connection
            except sqlite3.Error as error:
                raise JournalUnusable(f"The journal {self._path} failed: {error}.") from None

    def _set_aside(self, error: Exception) -> None:
        _log.error(
            "The journal %s is damaged (%s); it is kept as %s.", self._path, error, self._aside
        )
        self._path.replace(self._aside)


def _open(path: Path) -> sqlite3.Connection:
    if path.exists() and path.stat().st_size == 0:
        raise sqlite3.DatabaseError("it is empty")  # SQLite would take it for a new one
    connection = sqlite3.connect(
        path, timeout=BUSY_SECONDS, isolation_level=None, check_same_thread=False
    )
    try:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = FULL")
        (verdict,) = connection.execute("PRAGMA quick_check(1)").fetchone()
        if verdict != "ok":
            raise sqlite3.DatabaseError(verdict)
        for statement in _SCHEMA:
            connection.execute(statement)
        path.chmod(0o600)
    except sqlite3.Error:
        connection.close()
        raise
    return connection
