"""A volume on which room is running out, as the shipped guard sees it, and the database on it."""

from __future__ import annotations

from guest_agent.storage.room import LOW_BYTES, Room
from simulator.fleet.machine import Machine


class SimRoom:
    """The room on a machine's volume, beside its database's log; there is no reserve on it."""

    def __init__(self, machine: Machine) -> None:
        self._machine = machine

    def look(self) -> Room:
        low = LOW_BYTES[0]
        disk, volume = self._machine.disk, self._machine.volume
        log = volume.log if volume is not None else None
        free = int(disk.room * low) - (log.behind(0) if log is not None else 0)
        return Room(0 if disk.full else max(free, 0), 0, 0, low)

    def left(self) -> float:
        """What is left, in times of what is so little that a database takes no writes."""
        room = self.look()
        return room.left / room.low

    def keep(self, room: Room) -> None:
        return None

    def let_go(self) -> bool:
        return False


class SimWrites:
    """What the guard may do to a machine's database."""

    def __init__(self, machine: Machine) -> None:
        self._machine = machine
        self.room = SimRoom(machine)

    def refuses_writes(self, session: None) -> bool:
        return self._machine.closed

    def refuse_writes(self, session: None) -> None:
        self._machine.closed = True

    def refuse_unasked(self) -> None:
        return None

    def take_writes(self, session: None) -> None:
        self._machine.closed = False
