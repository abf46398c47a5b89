"""The server that a simulated manager runs on, and how the manager touches its volume.

Every touch takes time, and the process may be dead after it.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Mapping
from typing import Final, Protocol

from chalicelib.bus.contract import arguments
from chalicelib.engines.parameter import Scalar
from chalicelib.service_status import ServiceStatus as Status
from guest_agent.errors import GuestError, Unavailable
from simulator.fleet.datastore import Contents, Volume
from simulator.fleet.disk import Disk, Perform, directly
from simulator.fleet.engines import Engine

STATEMENT_SECONDS: Final = (0.002, 0.02)
DATA_FOLDER: Final = "/var/lib/mysql/data"


class Machine(Protocol):
    """What a manager has to know of the server that it runs on."""

    disk: Disk
    engine: Engine
    up: bool
    """Whether the database's process runs; it outlives the agent's."""
    stuck: bool
    """Whether the database's process runs and does not answer."""
    closed: bool
    """Whether the running database takes no writes."""
    starts: int
    """How often the database was started, each time taking them."""
    failed: bool
    given_up: bool
    stopped_at: float
    """When this life's database was stopped, on the monotonic clock."""
    passing: Status | None
    """The status while the process is being started or stopped."""
    runs_for: arguments.Flavor
    """The flavor for which the database was configured when it was started."""
    runs_with: Mapping[str, Scalar]
    """What of a configuration group the running database holds."""

    @property
    def volume(self) -> Volume | None:
        """The volume under the mount point."""

    def here(self, life: int) -> None:
        """End, or hold up, a coroutine of a process that died or hangs."""

    def spend(self, seconds: tuple[float, float]) -> None:
        """Let a drawn time pass; longer on a slow disk."""


class OnMachine:
    """What a manager does on the machine of one process (`life`) of a guest's agent."""

    def __init__(self, machine: Machine, life: int, perform: Perform = directly) -> None:
        self._machine = machine
        self._perform = perform
        self._life = life

    def _step(self, seconds: tuple[float, float]) -> None:
        self._machine.here(self._life)
        self._machine.spend(seconds)
        self._machine.here(self._life)

    def _read(self) -> Contents:
        """The contents, after the time of a statement."""
        self._step(STATEMENT_SECONDS)
        return self._contents()

    def _contents(self) -> Contents:
        if not self._machine.up or self._machine.stuck:
            raise Unavailable("the database does not answer")
        if self._machine.disk.unreadable:
            raise OSError(errno.EIO, os.strerror(errno.EIO), DATA_FOLDER)
        return self._formatted().contents

    def _write(self, contents: Contents) -> None:
        """Commit; a guest may still die before it can say so."""
        self._check_space()
        volume = self._formatted()

        def commit() -> None:
            volume.contents = contents

        self._perform("commit", commit)
        self._step(STATEMENT_SECONDS)

    def _formatted(self) -> Volume:
        volume = self._machine.volume
        if volume is None:
            raise GuestError("there is no volume at the device of the data directory")
        return volume

    def _check_space(self) -> None:
        if self._machine.disk.full:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), DATA_FOLDER)
