"""A chain that has no room on the volume is refused before any of it is fetched."""

from __future__ import annotations

import os
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from chalicelib import aws
from chalicelib.bus.contract.arguments import LogToReplay, StoredBackup, VerifyBackup
from guest_agent.backups import replaying
from guest_agent.datastores import copies, trial
from guest_agent.datastores.copies import Restore
from guest_agent.datastores.trial import ENGINE_BYTES, Trial, Watch
from guest_agent.errors import GuestError
from guest_agent.storage.room import MIB, Room

SIZES = {"full": 600 * MIB, "first": 300 * MIB, "second": 200 * MIB}
CHAIN = [StoredBackup(each, f"t/full/{each}", "ab" * 32, "") for each in SIZES]


class Opened:
    """A reader of a backup whose manifest is there, and nothing else is to be fetched of it."""

    def __init__(self, _store: Any, backup: StoredBackup, *_: Any) -> None:
        self.manifest = SimpleNamespace(data_size=SIZES[backup.id])

    def chunks(self) -> Any:
        raise AssertionError("what has no room is fetched")


def server(volume: Path, free: int) -> Any:
    layout = SimpleNamespace(volume=volume, restored=volume / "restored", data=volume / "data")
    room = SimpleNamespace(look=lambda: Room(free, 0, 0, 24 * MIB))
    user = SimpleNamespace(make_folder=lambda each: each, check_can_reach=lambda _: None, uid=0)
    return SimpleNamespace(layout=layout, room=room, user=user)


@pytest.mark.parametrize(("there", "needed"), [((), 1100), (("full",), 500)])
def test_all_of_a_chain_is_asked_for_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, there: tuple[str, ...], needed: int
) -> None:
    """But for what is whole on the volume already."""
    monkeypatch.setattr(copies, "Reader", Opened)
    for each in there:
        (tmp_path / "restored" / each).mkdir(parents=True)
    held: Any = SimpleNamespace(server=server(tmp_path, (needed - 1) * MIB))
    store: Any = lambda *_: None  # noqa: E731
    with pytest.raises(GuestError, match=f"the backup second, .* needs {needed} MiB, and"):
        Restore(held, CHAIN, store).fetch(lambda _: None)


class Grows(Trial[Any]):
    """Does no more than to apply what it has fetched."""

    def examine(self, folders: list[Path], watch: Watch, _: Any) -> None:
        self.applied(folders, watch)


def test_a_trial_leaves_the_database_its_room_while_an_increment_is_applied(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Until that goes its pages are there twice."""
    monkeypatch.setattr(trial, "Reader", Opened)
    monkeypatch.setattr(Opened, "chunks", lambda _: iter(()))
    monkeypatch.setattr(os, "setpriority", lambda *_: None)
    high, fetched = 2 * 24 * MIB, sum(SIZES.values()) + ENGINE_BYTES
    free = [fetched + high, SIZES["first"] + high, SIZES["second"] + high - 1]
    own = server(tmp_path, 0)
    own.layout.trial = tmp_path / "trial"
    applied: list[str] = []

    def apply(folders: list[Path], changing: Any) -> Path:
        for folder in folders[1:]:
            own.room.look = lambda: Room(free[1 + len(applied)], 0, 0, 24 * MIB)
            changing(folder)
            applied.append(folder.name)
        raise AssertionError("the last one has no room")

    own.room.look = lambda: Room(free[0], 0, 0, 24 * MIB)
    held: Any = SimpleNamespace(server=own, unpack=lambda *_: None, apply=apply)
    store: Any = lambda *_: None  # noqa: E731
    with pytest.raises(GuestError, match="no room for it beside the database: 200 MiB"):
        Grows(held, VerifyBackup(chain=CHAIN), store).run(aws.event(), lambda _: None)
    assert applied == ["first"]


def test_the_log_up_to_a_moment_has_the_room_of_the_increments(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(replaying, "wanted", lambda *_: [])
    restored = tmp_path / "restored"
    for each in SIZES:
        (restored / each).mkdir(parents=True)
    beside: list[str] = []

    def replay(data: Path, *_: Any) -> None:
        assert data == restored / "full"
        beside.extend(each.name for each in restored.iterdir() if each.is_dir())

    held: Any = SimpleNamespace(
        server=server(tmp_path, 0), apply=lambda folders, _: folders[0], replay=replay
    )
    store: Any = lambda *_: None  # noqa: E731
    log = LogToReplay("archive", "t/log/archive", 0, 0, None, "1.4", 1)
    Restore(held, CHAIN, store).apply(lambda _: None, log, lambda *_: b"")
    assert beside == ["full"]
    assert (tmp_path / "data").is_dir()
    assert not restored.exists()
