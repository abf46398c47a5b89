"""The releases of a simulated agent: the shipped rules, on a simulated disk.

A bundle is what its version says: one that is sound, or dies, or says nothing, or is not what its
key in the bucket names it.
"""

from __future__ import annotations

import hashlib
from enum import StrEnum
from typing import Final, NamedTuple, Protocol

from chalicelib.bus.bundles import key_of
from chalicelib.bus.contract.arguments import UpgradeAgent
from chalicelib.domain.agents import AgentBundle
from guest_agent.bundle import Progress
from guest_agent.errors import GuestError
from guest_agent.releases import Releases, Stage, Upgrade
from simulator.fleet.disk import Disk, Perform

FETCH_SECONDS: Final = (0.5, 5.0)
INSTALL_SECONDS: Final = (2.0, 10.0)


class Kind(StrEnum):
    """What is in a bundle."""

    SOUND = "sound"
    DIES = "dies"
    """Its process ends by itself, soon."""
    SILENT = "silent"
    """Its process does nothing."""
    FORGED = "forged"
    """Somebody has put another one in its place, which is theirs, and works."""
    ABSENT = "absent"


class SimBundle(NamedTuple):
    """A bundle in the bucket."""

    version: str
    kind: Kind

    @property
    def asked(self) -> AgentBundle:
        """How an administrator names it."""
        digest = hashlib.sha256(self.version.encode()).hexdigest()
        return AgentBundle(self.version, digest, 10_000_000)

    @property
    def sound(self) -> bool:
        """Whether an agent of it proves itself."""
        return self.kind is Kind.SOUND

    @property
    def digest(self) -> str:
        """The SHA-256 of what is there."""
        return "0" * 64 if self.kind is Kind.FORGED else self.asked.sha256


BUNDLES: Final = (
    *(SimBundle("1.0.1", Kind.SOUND), SimBundle("1.0.2", Kind.SOUND)),
    *(SimBundle("1.0.3+dies", Kind.DIES), SimBundle("1.0.4+silent", Kind.SILENT)),
    *(SimBundle("1.0.5+forged", Kind.FORGED), SimBundle("1.0.6+absent", Kind.ABSENT)),
)
_KINDS: Final = {each.version: each.kind for each in BUNDLES}


def kind_of(version: str) -> Kind:
    """How an agent of that version behaves."""
    return _KINDS.get(version, Kind.SOUND)


class Machine(Protocol):
    """What has to be known of a server."""

    disk: Disk
    runs: str
    """The version of the process that runs, or ran last."""

    def here(self, life: int) -> None:
        """End, or hold up, a coroutine of a process that died or hangs."""

    def spend(self, seconds: tuple[float, float]) -> None:
        """Let a drawn time pass; longer on a slow disk."""

    def set_alarm(self, seconds: int) -> None:
        """End the process after so long; 0: never."""


class SimReleases(Releases):
    """The releases as one process (`life`) of an agent sees them."""

    def __init__(self, machine: Machine, life: int, own: str, perform: Perform) -> None:
        self._machine = machine
        self._life = life
        self._perform = perform
        self.own = own
        newest = machine.disk.upgrade
        tried = newest is not None and newest.stage is Stage.TRYING and newest.version == own
        self.trial = newest if tried else None

    def newest(self) -> Upgrade | None:
        return self._machine.disk.upgrade

    def current(self) -> str | None:
        return self._machine.disk.agent

    def install(self, request: UpgradeAgent, progress: Progress) -> None:
        progress("fetching the bundle")
        self._step(FETCH_SECONDS)
        there = {key_of(each.asked.sha256): each for each in BUNDLES}
        found = there.get(request.url.partition("?")[0].partition(".com/")[2])
        if found is None or found.kind is Kind.ABSENT:
            raise GuestError("the bundle could not be fetched: the answer was 404 with 0 bytes")
        if found.digest != request.sha256:
            raise GuestError(f"the bundle has the SHA-256 {found.digest}; nothing was installed")
        progress("installing the release")
        self._step(INSTALL_SECONDS)

    def _step(self, seconds: tuple[float, float]) -> None:
        self._machine.here(self._life)
        self._machine.spend(seconds)
        self._machine.here(self._life)

    def _save(self, upgrade: Upgrade) -> None:
        def save() -> None:
            self._machine.disk.upgrade = upgrade

        self._perform(f"upgrade {upgrade.stage}", save)

    def _switch(self, version: str) -> None:
        def switch() -> None:
            self._machine.disk.agent = version

        self._perform("switch release", switch)

    def _alarm(self, seconds: int) -> None:
        self._machine.set_alarm(seconds)

    def _prune(self, kept: set[str | None]) -> None:
        """A simulated disk has room."""
