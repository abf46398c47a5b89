"""The journal on disk: durable, bounded, and honest about having been lost."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from chalicelib.bus.envelope import Fault
from guest_agent.errors import JournalUnusable
from guest_agent.journal import Entry, Outcome
from guest_agent.journal_store import SqliteStore
from tests.guest_agent.fakes import START, World


@pytest.fixture
def path(tmp_path: Path, world: World) -> Path:
    return tmp_path / "journal.sqlite"


def entry(number: int, outcome: Outcome | None = None) -> Entry:
    return Entry(f"command-{number}", "create_user", START, START + number, outcome)


def test_what_was_written_is_there_after_a_restart(path: Path) -> None:
    answered = entry(2, Outcome(fault=Fault("UserNotFound", "no such user")))
    with closing(SqliteStore(path)) as store:
        store.put(entry(1))
        store.put(entry(2))
        store.put(answered)
    with closing(SqliteStore(path)) as store:
        assert store.get("command-1") == entry(1)
        assert store.get("command-2") == answered
        assert store.get("command-3") is None
        assert store.lost_before == 0.0
    assert path.stat().st_mode & 0o777 == 0o600


def test_a_store_that_was_not_closed_keeps_everything(path: Path) -> None:
    """As after SIGKILL: the second one reads what the first has committed."""
    killed = SqliteStore(path)
    killed.put(entry(1))
    with closing(SqliteStore(path)) as store:
        assert store.get("command-1") == entry(1)
    killed.close()


@pytest.mark.parametrize(
    "damage",
    [
        lambda content: b"",
        lambda content: b"garbage" * 1000,
        lambda content: content[: len(content) // 2],
        lambda content: content[:4096] + bytes(len(content) - 4096),
    ],
    ids=["emptied", "overwritten", "torn", "zeroed"],
)
def test_a_damaged_file_is_set_aside_and_remembered(
    path: Path, world: World, damage: type[bytes]
) -> None:
    with closing(SqliteStore(path)) as store:
        for number in range(200):
            store.put(entry(number))
    path.write_bytes(damage(path.read_bytes()))
    with closing(SqliteStore(path)) as store:
        assert store.get("command-1") is None
        assert store.lost_before == START
        store.put(entry(1))
    world.now += 100
    with closing(SqliteStore(path)) as store:
        assert store.get("command-1") == entry(1)
        assert store.lost_before == START, "the time of the loss, not of the start"
    assert path.with_name("journal.sqlite.corrupt").exists()


def test_the_log_of_a_damaged_file_is_not_replayed_into_the_next(
    path: Path, tmp_path: Path, world: World
) -> None:
    (folder := tmp_path / "after the crash").mkdir()
    with closing(SqliteStore(path)) as store:
        for number in range(200):
            store.put(entry(number))
    with closing(SqliteStore(path)) as store:
        store.put(entry(500))
        for file in tmp_path.glob(f"{path.name}*"):
            shutil.copy(file, folder)
    crashed = folder / path.name
    assert crashed.with_name(f"{path.name}-wal").stat().st_size > 0
    crashed.write_bytes(b"garbage" * 1000)
    with closing(SqliteStore(crashed)) as store:
        assert store.get("command-1") is None
        assert store.get("command-500") is None
        assert store.lost_before == START
        store.put(entry(1))


def test_a_second_loss_has_a_time_of_its_own(path: Path, world: World) -> None:
    for _ in range(2):
        world.now += 100
        path.write_bytes(b"garbage" * 1000)
        with closing(SqliteStore(path)) as store:
            assert store.lost_before == world.now


def test_old_entries_are_pruned_by_their_expiry(path: Path) -> None:
    with closing(SqliteStore(path)) as store:
        for number in range(10):
            store.put(entry(number))
        store.prune(START + 5)
        kept = [number for number in range(10) if store.get(f"command-{number}")]
    assert kept == [5, 6, 7, 8, 9]


@pytest.mark.parametrize(
    "use",
    [
        lambda store: store.get("command-1"),
        lambda store: store.put(entry(1)),
        lambda store: store.prune(START),
    ],
    ids=["read", "written", "pruned"],
)
def test_a_journal_that_fails_is_never_taken_for_one_that_knows_nothing(
    path: Path, use: Callable[[SqliteStore], object]
) -> None:
    store = SqliteStore(path)
    store.close()
    with pytest.raises(JournalUnusable, match="failed"):
        use(store)


def test_a_place_that_cannot_be_written_is_no_damage(tmp_path: Path, world: World) -> None:
    (tmp_path / "journal.sqlite").mkdir()
    with pytest.raises(JournalUnusable, match="cannot be opened"):
        SqliteStore(tmp_path / "journal.sqlite")
