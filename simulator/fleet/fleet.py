"""A fleet: the guests of a run by server, what goes wrong with them, and what their polls come to.

Every method that breaks something is an event of its own: a fault class says when, this says how.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from typing import Final

import msgspec

from chalicelib import engines
from chalicelib.engines.engine import Part
from guest_agent.enrolment import Session
from guest_agent.queues import LONG_POLL_SECONDS
from simulator.cloud.model.seams import GuestSpec
from simulator.effects import Effects
from simulator.fleet.datastore import Contents, Database, Volume
from simulator.fleet.disk import PLENTY
from simulator.fleet.full import SimRoom
from simulator.fleet.guest import Guest
from simulator.fleet.hypervisor import SimHypervisor
from simulator.fleet.queues import Region
from simulator.fleet.surroundings import FINE, Surroundings
from simulator.kernel import Kernel

DRIFT_STEP_SECONDS: Final = 60.0
KEYSPACE: Final = "0"
"""Where everything is of an engine without databases; nobody makes it."""


class Fleet(SimHypervisor):
    """All guests. `skew` is the provider's table of clock errors, by owner.

    With `effects`, writes inside a guest are effects too, so that it can die at each of them.
    """

    def __init__(
        self,
        kernel: Kernel,
        region: Region,
        skew: dict[object, float],
        effects: Effects | None = None,
    ) -> None:
        self.chance: random.Random = kernel.stream("fleet")
        super().__init__(Surroundings(kernel, region, skew, self.chance, effects))
        self.kernel = kernel
        self._drifts: dict[str, float] = {}
        self.on_room: list[Callable[[Guest], None]] = []
        """Told when the room on a guest's volume has changed."""

    def watch(self, said: Callable[[str, str], None]) -> None:
        """Have each sentence of a guest: the server's id and what it says."""
        self.around.said = said

    @property
    def broken(self) -> list[tuple[str, BaseException]]:
        """Errors that no agent should end with, with the server's id: defects."""
        return self.around.broken

    @property
    def receives(self) -> int:
        """How many idle long polls real agents would have made up to now."""
        self.around.count_polling(0)
        return int(self.around.poll_seconds / LONG_POLL_SECONDS)

    def __iter__(self) -> Iterator[Guest]:
        return iter(self.guests.values())

    def __len__(self) -> int:
        return len(self.guests)

    def settle(self, spec: GuestSpec, session: Session, *, period: float) -> Guest:
        """A guest that has enrolled and prepared long ago, to begin a run with many of them.

        Its volume is made when it has none; its next heartbeat is drawn within the period.
        """
        for plugged in spec.volumes:
            self.volumes.setdefault(plugged.volume_id, Volume(1))
        guest = self.make(spec)
        guest.install(session, beat_in=self.chance.uniform(0.0, period))
        return guest

    # -------------------------------------------------------------------------- F10, F11

    def crash(self, server_id: str) -> None:
        """The agent is killed where it is and started again by its supervisor."""
        self.guests[server_id].crash()

    def crash_database(self, server_id: str) -> None:
        """The database dies; the agent reports it within a second."""
        guest = self.guests[server_id]
        guest.up = guest.stuck = False
        self.kernel.call_later(self.chance.random(), guest.start_pulse)

    def hang_database(self, server_id: str, seconds: float) -> None:
        """The database takes connections for that long and does not answer."""
        guest = self.guests[server_id]
        if guest.up:
            guest.stuck = True
            guest.start_pulse()
            self.kernel.call_later(seconds, self._answer_again, guest)

    def _answer_again(self, guest: Guest) -> None:
        guest.stuck = False
        guest.start_pulse()

    def reboot(self, server_id: str) -> None:
        """The server is reset: disk and volume stay, memory and processes do not."""
        guest = self.guests[server_id]
        guest.power_off()
        guest.power_on()

    def hang(self, server_id: str, seconds: float) -> None:
        """The agent stands still for that long, in the middle of whatever it does."""
        guest = self.guests[server_id]
        guest.hang()
        self.kernel.call_later(seconds, guest.wake)

    def tear_journal(self, server_id: str) -> None:
        """The agent crashes and the entry written last never reached the disk."""
        guest = self.guests[server_id]
        guest.disk.tear_journal()
        guest.crash()

    def damage_journal(self, server_id: str) -> None:
        """The agent crashes and finds a journal that cannot be read."""
        guest = self.guests[server_id]
        guest.disk.damage_journal()
        guest.crash()

    def skew(self, server_id: str, seconds: float) -> None:
        """Set how far a server's clock is off; a second call is a step of its clock."""
        self.around.skew[server_id] = seconds

    def drift(self, server_id: str, seconds_a_day: float) -> None:
        """Let a server's clock run fast or slow from now on; 0 ends it."""
        running = server_id in self._drifts
        if seconds_a_day:
            self._drifts[server_id] = seconds_a_day
            if not running:
                self.kernel.call_later(DRIFT_STEP_SECONDS, self._drift, server_id)
        else:
            self._drifts.pop(server_id, None)

    def _drift(self, server_id: str) -> None:
        if server_id in self._drifts and server_id in self.guests:
            step = self._drifts[server_id] * DRIFT_STEP_SECONDS / 86400.0
            self.skew(server_id, self.around.skew.get(server_id, 0.0) + step)
            self.kernel.call_later(DRIFT_STEP_SECONDS, self._drift, server_id)
        else:
            self._drifts.pop(server_id, None)

    # -------------------------------------------------------------------------- F12, F13

    def partition(self, server_id: str, *, lost: bool = True, deaf: bool = True) -> None:
        """Cut a guest off: `lost`, nothing it sends arrives; only `deaf`, no answer reaches it."""
        guest = self.guests[server_id]
        guest.condition = msgspec.structs.replace(guest.condition, lost=lost, deaf=deaf)

    def slow_disk(self, server_id: str, slowness: float) -> None:
        """What takes time on the disk takes that much longer."""
        guest = self.guests[server_id]
        guest.condition = msgspec.structs.replace(guest.condition, slowness=slowness)

    def fill_disk(self, server_id: str) -> None:
        """Nothing more can be written, neither to the journal nor to the database, which ends."""
        self.guests[server_id].disk.full = True
        self.crash_database(server_id)

    def leave_room(self, server_id: str, room: float) -> None:
        """So much is left on the volume, in times of what is too little; seen within a second."""
        guest = self.guests[server_id]
        guest.disk.room = room
        self.kernel.call_later(self.chance.random(), guest.start_pulse)
        for told in self.on_room:
            told(guest)

    def fill_with_log(self, server_id: str, room: float) -> bool:
        """No more is left, whatever else goes, since a commit was huge that is to be archived.

        False without one, and where one was so before.
        """
        guest = self.guests[server_id]
        log = guest.volume.log if guest.volume is not None else None
        size = int((PLENTY - room) * SimRoom(guest).look().low)
        if log is None or not log.entries or log.behind(0) > size:
            return False
        log.grow(size)
        self.leave_room(server_id, guest.disk.room)
        return True

    def spoil_disk(self, server_id: str) -> None:
        """What is read ends in an error, of the journal and of the database."""
        self.guests[server_id].disk.unreadable = True

    def mend_disk(self, server_id: str) -> None:
        """The disk is quick and sound again, and has room."""
        self.slow_disk(server_id, 1.0)
        guest = self.guests[server_id]
        guest.disk.full = guest.disk.unreadable = False
        guest.disk.room = PLENTY
        guest.start_pulse()
        for told in self.on_room:
            told(guest)

    # ------------------------------------------------------------------------------- F14

    def zombie(self, server_id: str) -> Guest | None:
        """Bring back the last machine that was rebuilt or deleted under that id, as it was.

        It goes on with its old keys, credentials and epoch, until it learns that it is superseded.
        """
        for guest in reversed(self.graves):
            if guest.server_id == server_id:
                guest.thaw()
                return guest
        return None

    # ------------------------------------------------------------------------------ heal

    def heal(self) -> None:
        """End every lasting trouble. Zombies are switched off; clocks are set right."""
        self._drifts.clear()
        self.around.skew.clear()
        for guest in self.graves:
            if guest.power:
                guest.freeze()
        for guest in self:
            hung = guest.condition.hung
            guest.condition = msgspec.structs.replace(FINE, hung=hung)
            guest.disk.full = guest.disk.unreadable = False
            guest.disk.room = PLENTY
            if hung:
                guest.wake()
            guest.stuck = False
            if guest.given_up:
                guest.crash()  # an operator starts what its agent has given up
            guest.start_pulse()

    # --------------------------------------------------------------------------- contents

    def contents(self, server_id: str) -> Contents:
        """What a server's datastore holds now."""
        volume = self.guests[server_id].volume
        assert volume is not None, "the server has no volume"
        return volume.snapshot()

    def write(self, server_id: str, database: str, key: str, value: str) -> bool:
        """Write a row as an application would, in the database if its engine has them; False when
        it is not taken."""
        guest = self.guests[server_id]
        volume = guest.volume
        takes = guest.power and guest.up and not guest.disk.full and not guest.closed
        if not takes or volume is None:
            return False
        contents = volume.contents
        if not engines.can(guest.datastore_manager, Part.DATABASES):
            database = KEYSPACE
            if database not in contents.databases:
                contents = contents.with_database(database, Database())
        if database not in contents.databases:
            return False
        at = self.kernel.now + self.around.skew.get(server_id, 0.0)  # as its server says it
        volume.commit(contents.with_row(database, key, value), at)
        return True

    def purge_log(self, server_id: str) -> None:
        """What is kept of a database's log is gone, as by its owner's hand or for want of room."""
        volume = self.guests[server_id].volume
        if volume is not None and volume.log is not None:
            volume.log.release(volume.contents.log_position)
