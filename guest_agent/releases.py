"""The releases of the agent on a server: which one runs, the one on trial, and the way back.

    opt/coffer/releases/<version>/    an environment each, with `complete` in it when it is whole
    opt/coffer/current                the one that has proved itself
    opt/coffer/upgrade.json           the newest upgrade, and what has come of it

    trying ──▶ taken       it has reported and takes commands: from now on `current` is it
       └─────▶ given up    it ended, or was silent, so often

What the supervisor starts is the proved release, and it decides before it does anything else
(`hand_over`): it counts the start on the disk, sets the kernel's alarm, and becomes the release on
trial. The alarm outlives exec and ends a process that does not turn it off. So the way back needs
nothing of the release that may be broken, and no process beside it.
"""

from __future__ import annotations

import logging
import os
import shutil
import signal
import sys
from collections.abc import Sequence
from enum import StrEnum
from pathlib import Path
from typing import Final

import msgspec

from chalicelib import aws
from chalicelib.bus.contract.arguments import UpgradeAgent
from guest_agent import bundle
from guest_agent.bundle import Progress
from guest_agent.errors import GuestError, Leaving
from guest_agent.files import sync_directory, write_whole

FOLDER: Final = Path("opt/coffer")
CURRENT: Final = "current"
UPGRADE_FILE: Final = "upgrade.json"
MOST_STARTS: Final = 3
"""Of a release on trial; one of them may be lost to a server that is switched off."""
TRIAL_SECONDS: Final = 100
"""For each start: the network, an enrolment that is tried again, a report, the first poll."""
POLL_SECONDS: Final = 0.5
_NOT_HANDED_ON: Final = frozenset({"PYTHONPATH", "PYTHONHOME", "VIRTUAL_ENV"})
_log = logging.getLogger(__name__)


class Stage(StrEnum):
    """How far an upgrade is."""

    TRYING = "trying"
    TAKEN = "taken"
    GIVEN_UP = "given up"


class Upgrade(msgspec.Struct, frozen=True):
    """An upgrade to a version: whose `attempt` it is, and the database's status before (`was`).

    Of `starts` the last was at `started_at`; `reason` says why it was given up.
    """

    attempt: str
    version: str
    was: str
    stage: Stage = Stage.TRYING
    starts: int = 0
    started_at: float = 0.0
    reason: str = ""


class Releases:
    """Those of the server at `root`. `own` is the version of this process's, "" of sources that
    nobody has installed; `trial` its upgrade, while it is on trial."""

    def __init__(self, root: Path, prefix: str = sys.prefix) -> None:
        self.base = root.resolve() / FOLDER
        inside = Path(prefix).resolve()
        self.own = inside.name if inside.parent == self.base / bundle.RELEASES else ""
        newest = self.newest()
        tried = newest is not None and newest.stage is Stage.TRYING and newest.version == self.own
        self.trial = newest if tried else None

    def upgrade(self, request: UpgradeAgent, was: str, progress: Progress) -> None:
        """Return when this process is of the wanted release, which has proved itself.

        Raises `Leaving` once the release is installed, and `GuestError` when it cannot be, or was
        tried for this attempt and given up.
        """
        newest = self.newest()
        if newest and newest.attempt == request.attempt and newest.stage is Stage.GIVEN_UP:
            raise GuestError(newest.reason)
        if self.own == request.version:
            self._wait_for_proof()
            return
        self.install(request, progress)
        self._save(Upgrade(request.attempt, request.version, was))
        raise Leaving(f"The agent goes on as release {request.version}.")

    def confirm(self) -> None:
        """The release on trial is this one, and has proved itself: it stays."""
        assert self.trial is not None, "there is a trial"
        before = self.current()
        self._switch(self.own)
        self._save(msgspec.structs.replace(self.trial, stage=Stage.TAKEN))
        self._alarm(0)
        self._prune({self.own, before})
        self.trial = None  # from now on the upgrade is answered, see `_wait_for_proof`

    def choose(self) -> str | None:
        """The version that is to run now; None when this process is of the only one there is."""
        upgrade, current = self.newest(), self.current()
        if upgrade is None or upgrade.stage is not Stage.TRYING:
            return current
        if upgrade.version == current:  # the end of the trial was cut short
            self._save(msgspec.structs.replace(upgrade, stage=Stage.TAKEN))
            return current
        if upgrade.version == self.own:
            return self.own
        if upgrade.starts >= MOST_STARTS:
            reason = _why_given_up(upgrade, aws.clock() - upgrade.started_at)
            self._save(msgspec.structs.replace(upgrade, stage=Stage.GIVEN_UP, reason=reason))
            _log.error("%s", reason)
            return current
        begun, now = upgrade.starts + 1, aws.clock()
        self._save(msgspec.structs.replace(upgrade, starts=begun, started_at=now))
        self._alarm(TRIAL_SECONDS)
        return upgrade.version

    def hand_over(self, arguments: Sequence[str]) -> None:
        """Become the release that is to run; returns when this process is of it already.

        One on trial that cannot even be executed has had a start as any other. When nothing else
        can be, this process goes on.
        """
        for _ in range(MOST_STARTS + 1):
            version = self.choose()
            if version is None or version == self.own:
                return
            python = str(bundle.folder_of(self.base, version) / "bin/python")
            # Isolated: of the environment and the folder that this one was started in, nothing.
            command = [python, "-I", "-m", "guest_agent", *arguments]
            kept = {key: text for key, text in os.environ.items() if key not in _NOT_HANDED_ON}
            try:
                os.execve(python, command, kept)  # noqa: S606 - there is nothing to quote
            except OSError as error:
                self._alarm(0)
                _log.error("Release %s cannot be executed: %s.", version, error.strerror)

    def newest(self) -> Upgrade | None:
        """The upgrade that was begun last."""
        try:
            return msgspec.json.decode((self.base / UPGRADE_FILE).read_bytes(), type=Upgrade)
        except (OSError, msgspec.DecodeError):
            return None

    def current(self) -> str | None:
        """The version that has proved itself; None on a server where none was installed."""
        try:
            return (self.base / CURRENT).readlink().name
        except OSError:
            return None

    def install(self, request: UpgradeAgent, progress: Progress) -> None:
        """Have the release on the disk, whole."""
        bundle.install(self.base, request, progress)

    def _wait_for_proof(self) -> None:
        """The alarm ends this process if it does not come."""
        for _ in range(int(TRIAL_SECONDS / POLL_SECONDS) + 1):
            if self.trial is None:
                return
            aws.sleep(POLL_SECONDS)
        raise GuestError("the release on trial does not come to its end")

    def _save(self, upgrade: Upgrade) -> None:
        write_whole(self.base / UPGRADE_FILE, msgspec.json.encode(upgrade))

    def _switch(self, version: str) -> None:
        """Make it the current one, in one step."""
        beside = self.base / "next"
        beside.unlink(missing_ok=True)
        beside.symlink_to(f"{bundle.RELEASES}/{version}")
        beside.replace(self.base / CURRENT)
        sync_directory(self.base)

    def _alarm(self, seconds: int) -> None:
        """Have this process ended after so long, also when it has become another one; 0: never."""
        signal.alarm(seconds)

    def _prune(self, kept: set[str | None]) -> None:
        """Remove all releases but these: there is one to go back to by hand, and no more."""
        for folder in (self.base / bundle.RELEASES).iterdir():
            if folder.name not in kept:
                shutil.rmtree(folder, ignore_errors=True)


def _why_given_up(upgrade: Upgrade, since_seconds: float) -> str:
    silent = since_seconds >= TRIAL_SECONDS
    did = f"did not report within {TRIAL_SECONDS} s" if silent else "ended by itself"
    return (
        f"release {upgrade.version} was started {upgrade.starts} times, and {did} the last time; "
        "the release of before runs again"
    )
