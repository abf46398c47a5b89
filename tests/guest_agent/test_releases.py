"""Which release of the agent runs: a power cut after any effect, broken releases, a late proof."""

from __future__ import annotations

import os
from itertools import count
from pathlib import Path

import pytest

from guest_agent import releases
from guest_agent.releases import MOST_STARTS, TRIAL_SECONDS, Releases, Stage, Upgrade
from tests.guest_agent.fakes import Crash, World

PROVED, NEW = "1.0.0", "1.0.1"


class Server:
    """Its disk has a release that has proved itself; the power may go after one of the effects."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.alarm = 0
        self.effects = 0
        self.cut_after: int | None = None
        self.of(PROVED)._switch(PROVED)
        self.effects = 0

    def of(self, version: str) -> Process:
        """A process of that release, as its supervisor or another one has started it."""
        base = self.root / releases.FOLDER
        folder = base / "releases" / version
        folder.mkdir(parents=True, exist_ok=True)
        return Process(self, str(folder))

    def boot(self) -> Process:
        """What runs when the supervisor has started what has proved itself."""
        self.alarm = 0
        current = Releases(self.root).current()
        assert current is not None, "there is always one"
        chosen = self.of(current).choose()
        assert chosen is not None
        return self.of(chosen)


class Process(Releases):
    """The shipped rules; each of its effects is counted."""

    def __init__(self, server: Server, prefix: str) -> None:
        self._server = server
        super().__init__(server.root, prefix)

    def _save(self, upgrade: Upgrade) -> None:
        super()._save(upgrade)
        self._done()

    def _switch(self, version: str) -> None:
        super()._switch(version)
        self._done()

    def _alarm(self, seconds: int) -> None:
        self._server.alarm = seconds

    def _done(self) -> None:
        self._server.effects += 1
        if self._server.effects == self._server.cut_after:
            raise Crash


def upgrade(server: Server) -> None:
    """A release is installed, run and proved; whoever dies is started again."""
    newest = Upgrade("attempt-1", NEW, was="healthy")
    server.of(PROVED)._save(newest)
    process = server.boot()
    if process.trial is not None:
        assert server.alarm == TRIAL_SECONDS
        process.confirm()


@pytest.mark.usefixtures("world")
def test_a_power_cut_after_any_effect_leaves_an_agent_and_the_way_forward(tmp_path: Path) -> None:
    for effect in count(1):
        server = Server(tmp_path / str(effect))
        server.cut_after = effect
        try:
            upgrade(server)
        except Crash:
            process = server.boot()
            if process.trial is not None:
                process.confirm()
        else:
            break
        final = server.boot()
        assert (final.own, final.trial, server.alarm) == (NEW, None, 0)
        newest = final.newest()
        assert newest is not None
        assert newest.stage is Stage.TAKEN
    assert effect > 4, "installed, counted, switched and taken"


def test_a_release_that_does_not_prove_itself_is_given_up_for_this_attempt(
    world: World, tmp_path: Path
) -> None:
    server = Server(tmp_path)
    server.of(PROVED)._save(Upgrade("attempt-1", NEW, was="healthy"))
    for _ in range(MOST_STARTS):
        assert server.boot().own == NEW
        world.now += TRIAL_SECONDS
    for _ in range(2):
        process = server.boot()
        assert (process.own, process.trial, server.alarm) == (PROVED, None, 0)
    newest = process.newest()
    assert newest is not None
    assert (newest.stage, newest.starts) == (Stage.GIVEN_UP, MOST_STARTS)
    assert "did not report within 100 s the last time" in newest.reason
    process._save(Upgrade("attempt-2", NEW, was="healthy"))
    assert server.boot().own == NEW, "asked again, it is tried again"


def test_what_cannot_be_executed_is_tried_no_longer_than_what_dies(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    server = Server(tmp_path)
    process = server.of(PROVED)
    process._save(Upgrade("attempt-1", NEW, was="healthy"))
    tried: list[str] = []

    def execve(path: str, *_: object) -> None:
        tried.append(path)
        raise FileNotFoundError(2, "No such file or directory")

    monkeypatch.setattr(os, "execve", execve)
    process.hand_over(["--root", "/"])
    assert len(tried) == MOST_STARTS
    assert server.alarm == 0
    newest = process.newest()
    assert newest is not None
    assert newest.stage is Stage.GIVEN_UP


def test_a_torn_record_is_none(tmp_path: Path) -> None:
    server = Server(tmp_path)
    (tmp_path / releases.FOLDER / releases.UPGRADE_FILE).write_bytes(b'{"attempt": "at')
    assert server.boot().own == PROVED


@pytest.mark.usefixtures("world")
def test_what_is_not_kept_is_gone_before_the_upgrade_is_answered(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who waits for the proof looks at `trial`, in a thread of its own."""
    server = Server(tmp_path)
    server.of("0.9.9")
    answered: list[bool] = []
    prune = Process._prune

    def watched(process: Process, kept: set[str | None]) -> None:
        answered.append(process.trial is None)
        prune(process, kept)

    monkeypatch.setattr(Process, "_prune", watched)
    upgrade(server)
    assert answered == [False]
    left = {each.name for each in (tmp_path / releases.FOLDER / "releases").iterdir()}
    assert left == {PROVED, NEW}
