"""Guests of the simulator that do otherwise than well when a test says so."""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final

from chalicelib import aws
from chalicelib.bus.envelope import Direction, Envelope, seal
from chalicelib.service_status import ServiceStatus
from guest_agent.enrolment import Session
from guest_agent.errors import GuestError
from guest_agent.manager import Condition, Progress
from simulator.fleet.fleet import Fleet
from simulator.fleet.guest import Guest
from simulator.fleet.managers import SimMariaDB

LOOK_SECONDS: Final = 1.0
REPORT_SECONDS: Final = 3600.0


class Script:
    """What becomes of a guest's commands, and what it was told."""

    def __init__(self, fleet: Fleet, guest: Guest) -> None:
        self._fleet = fleet
        self.guest = guest
        self.silent = False
        """Whether it sits over every command, for as long as this is so."""
        self.waiting: set[str] = set()
        """The methods over which it sits."""
        self.failure: str | None = None
        """Why it fails every command."""
        self.failing: dict[str, list[str]] = {}
        """Why it fails the next commands of a method."""
        self.status: ServiceStatus | None = None
        """How it says its database is, whatever is true."""
        self.answer: dict[str, Any] | None = None
        """What it answers to everything."""
        self.told: list[tuple[str, dict[str, Any]]] = []
        """Each command that was run: its method and its arguments."""

    @property
    def server_id(self) -> str:
        return self.guest.server_id

    @property
    def generation(self) -> int:
        """Which guest of its instance it is."""
        assert self.guest.agent_file is not None
        return int(self.guest.agent_file.generation)

    @property
    def runs(self) -> list[str]:
        """The methods of the commands that were run."""
        return [method for method, _ in self.told]

    @property
    def session(self) -> Session:
        """What it was given when it was let in."""
        assert self.guest.memory.session is not None
        return self.guest.memory.session

    def cut_off(self) -> None:
        """From now on nothing reaches it, and nothing it sends arrives."""
        self._fleet.partition(self.server_id)

    def mend(self) -> None:
        """It is heard again, and hears."""
        self._fleet.partition(self.server_id, lost=False, deaf=False)

    def fails(self, method: str) -> str | None:
        """Why this command fails, if it does."""
        planned = self.failing.get(method)
        return planned.pop(0) if planned else self.failure

    def sits_over(self, method: str) -> bool:
        """Whether a command of this method has to wait."""
        return self.silent or method in self.waiting

    def sealed(self, kind: str, message_id: str, result: dict[str, Any] | None) -> str:
        """The body of a report as its agent would send it now, newer than all it has sent."""
        session = self.session
        report = Envelope(
            id=message_id,
            instance_id=session.instance_id,
            generation=session.generation,
            epoch=session.epoch,
            seq=next(self.guest.memory.sequence),
            kind=kind,
            result=result,
            issued_at=aws.clock(),
            expires_at=aws.clock() + REPORT_SECONDS,
            key_version=session.key_version,
        )
        return seal(report, Direction.TO_CONTROL, base64.b64decode(session.keys.to_control))


class Scripts(Mapping[str, Script]):
    """The scripts of the guests that there are, by server. `on_guest` is told of each new one."""

    def __init__(self, fleet: Fleet) -> None:
        self._fleet = fleet
        self._known: dict[Guest, Script] = {}
        self.on_guest: Callable[[Script], None] = lambda script: None
        fleet.around.manager = self._manager

    def __getitem__(self, server_id: str) -> Script:
        return self.of(self._fleet.guests[server_id])

    def __iter__(self) -> Iterator[str]:
        return iter(self._fleet.guests)

    def __len__(self) -> int:
        return len(self._fleet.guests)

    def of(self, guest: Guest) -> Script:
        """The script of one guest, which a server with a new disk has anew."""
        if guest not in self._known:
            self._known[guest] = Script(self._fleet, guest)
            self.on_guest(self._known[guest])
        return self._known[guest]

    def _manager(self, machine: Guest, life: int, *perform: Any) -> ScriptedManager:
        return ScriptedManager(self.of(machine), machine, life, *perform)


class ScriptedManager(SimMariaDB):
    """A manager that looks into the script before it does what it is told."""

    def __init__(self, script: Script, machine: Guest, life: int, *perform: Any) -> None:
        super().__init__(machine, life, *perform)
        self._script = script

    def call(self, name: str, args: dict[str, Any], progress: Progress) -> dict[str, Any]:
        while self._script.sits_over(name):
            self._machine.here(self._life)
            aws.sleep(LOOK_SECONDS)
        self._machine.here(self._life)
        self._script.told.append((name, args))
        if (why := self._script.fails(name)) is not None:
            raise GuestError(why)
        result = super().call(name, args, progress)
        return result if self._script.answer is None else self._script.answer

    def condition(self) -> Condition:
        told = super().condition()
        return told if self._script.status is None else Condition(self._script.status)
