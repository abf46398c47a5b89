"""How much of the log a full copy of PostgreSQL may have: what it needs is needed of a volume."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import pytest

from guest_agent.datastores.postgresql import beside, wal
from guest_agent.datastores.postgresql.beside import LogBeside
from guest_agent.datastores.postgresql.wal import SEGMENT_BYTES, Place
from guest_agent.errors import GuestError
from guest_agent.storage.room import Room

BEGUN: Final = Place(1, SEGMENT_BYTES)
LABEL: Final = f"START WAL LOCATION: 0/1000000 (file {BEGUN.segment})".encode()
RESERVE: Final = 64 * 1024**2


class Database:
    """One that writes its log to a volume with so much room; what it answers, the slot of a copy
    keeps."""

    def __init__(self, data: Path, room: int) -> None:
        self._folder, self._left, self._durable = data / wal.FOLDER, room, BEGUN
        self._folder.mkdir()

    @contextmanager
    def session(self, seconds: float = 0.0) -> Iterator[Any]:
        yield self

    def rows(self, statement: str, *_: object) -> list[tuple[int]]:
        if "pg_ls_waldir" in statement:
            return [(sum(each.stat().st_size for each in self._folder.iterdir()),)]
        return [(self._durable.at,)]

    def room(self) -> Room:
        """The reserve is let go."""
        return Room(free=self._left + RESERVE, held=0, reserve=RESERVE, low=0)

    def write(self) -> None:
        """A segment."""
        with (self._folder / self._durable.segment).open("wb") as stream:
            stream.truncate(SEGMENT_BYTES)
        self._durable = self._durable._replace(at=self._durable.at + SEGMENT_BYTES)
        self._left -= SEGMENT_BYTES

    def forget(self) -> None:
        """As at a checkpoint, with what was sent."""
        for each in self._folder.iterdir():
            each.unlink()
            self._left += SEGMENT_BYTES

    def grow(self, size: int) -> None:
        """Have more data."""
        self._left -= size


@pytest.fixture
def database(tmp_path: Path) -> Database:
    return Database(tmp_path, room=3 * SEGMENT_BYTES)


@pytest.fixture
def log(database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> LogBeside:
    monkeypatch.setattr(beside, "LOOK_SECONDS", 0.0)
    return LogBeside(tmp_path, database.room, database.session)


def sent(chunks: Iterator[bytes]) -> int:
    """Segments, each of which has a header."""
    return sum(map(len, chunks)) // SEGMENT_BYTES


def test_a_copy_has_no_more_of_the_log_than_its_volume_could_hold(
    database: Database, log: LogBeside
) -> None:
    """It fails while it runs, and not when all of it was sent."""
    for label in (LABEL, b"", b""):
        database.write()
        assert sent(log.so_far(label)) == 1
        database.forget()
    database.write()
    with pytest.raises(GuestError, match=r"write-ahead log .* beside the data, 48 MiB"):
        sent(log.so_far(b""))


def test_data_that_grow_leave_the_log_less_room(database: Database, log: LogBeside) -> None:
    for label in (LABEL, b""):
        database.write()
        assert sent(log.so_far(label)) == 1
        database.forget()
    database.grow(SEGMENT_BYTES)
    database.write()
    with pytest.raises(GuestError, match=r"write-ahead log .* beside the data, 32 MiB"):
        sent(log.rest())


def test_log_that_still_lies_on_a_full_volume_is_sent(database: Database, log: LogBeside) -> None:
    for _ in range(3):
        database.write()
    database.grow(10 * SEGMENT_BYTES)
    assert sent(log.so_far(LABEL)) == 3
