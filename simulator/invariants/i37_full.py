"""I37: a database on a volume with hardly any room takes no writes, until there is room again."""

from __future__ import annotations

from collections import Counter
from typing import Final

from guest_agent.backups.archiver import GIB, SHARE
from simulator.fleet.full import SimRoom
from simulator.fleet.guest import Guest
from simulator.invariants.base import Invariant

BOUND_SECONDS: Final = 120.0
"""From a change of the room to what follows: a second, and what the agent may be held up for by a
control plane that does not answer."""


LOG_SECONDS: Final = 300.0
"""In which a log has been looked at several times, also while a piece of it is on its way."""
LOOKS: Final = 3


class Full(Invariant):
    """Looks at each guest that had the time to see how much room there is.

    Who was held up, had its agent or its database started anew, or its room changed meanwhile, also
    by its log, is looked at after the next change, and when the faults have healed.
    """

    id = "I37"
    title = "A database takes no writes while its volume has hardly room, and takes them again"

    def watch(self) -> None:
        self._changes: Counter[str] = Counter()
        """Of the room of each server: it may come back to what it was."""
        self.hub.run.fleet.on_room.append(self._changed)

    def _changed(self, guest: Guest) -> None:
        self._changes[guest.server_id] += 1
        if self._is_at_work(guest):
            seen = guest, self._state_of(guest), guest.closed
            self.hub.run.kernel.call_later(BOUND_SECONDS, self._judge, *seen)
            self.hub.run.kernel.call_later(LOG_SECONDS, self._judge_log, guest, _held(guest))

    def _state_of(self, guest: Guest) -> tuple[float, ...]:
        """The room, and how often what was of it, the agent and the database were new."""
        left = SimRoom(guest).left()
        return left, self._changes[guest.server_id], guest.life, guest.starts

    def _judge(self, guest: Guest, seen: tuple[float, ...], closed: bool) -> None:
        if self._state_of(guest) != seen or not self._is_at_work(guest):
            return
        room = seen[0]
        self.exercised += 1
        if guest.closed != (room < 1 or (room < 2 and closed)):
            writes = "takes no writes" if guest.closed else "takes writes"
            self._tell(guest, f"{writes}, with room for {room:.1f} times of what is too little")

    def _judge_log(self, guest: Guest, held: int, looks: int = 1) -> None:
        """What fills a volume of its log beyond its share is sent or given up, also while no writes
        are taken. An agent that was held up until just now has some minutes more."""
        if guest.disk.unreadable or not self._is_at_work(guest):
            return
        self.exercised += 1
        if _held(guest) != held or guest.memory.archive is None or not _is_too_much(guest):
            return
        if looks < LOOKS:
            later = guest, held, looks + 1
            self.hub.run.kernel.call_later(BOUND_SECONDS, self._judge_log, *later)
        else:
            self._tell(guest, "is on a volume full of its log, which is neither sent nor given up")

    def check_healed(self) -> None:
        """There is room for all of them: what the log had of it was sent, or given up."""
        for guest in self.hub.run.fleet:
            if self._is_at_work(guest):
                self.exercised += 1
                if guest.closed:
                    self._tell(guest, "takes no writes, and has room")

    def _tell(self, guest: Guest, text: str) -> None:
        instance_id = guest.agent_file.instance_id if guest.agent_file else None
        self.broken(f"the database of {guest.server_id} {text}", instance_id)

    @staticmethod
    def _is_at_work(guest: Guest) -> bool:
        """Whether its agent looks at a database that answers."""
        agent = guest.power and guest.retired is None and not guest.condition.hung
        heard = guest.memory.session is not None and not guest.condition.deaf
        database = guest.up and not guest.stuck and guest.disk.prepared and guest.passing is None
        return agent and heard and database


def _held(guest: Guest) -> int:
    """What its log has of the volume, in bytes."""
    volume = guest.volume
    return volume.log.behind(0) if volume is not None and volume.log is not None else 0


def _is_too_much(guest: Guest) -> bool:
    """Whether that is more than may wait."""
    volume = guest.volume
    return volume is not None and _held(guest) > volume.file_system_gib * GIB / SHARE
