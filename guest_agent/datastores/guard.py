"""Keeps a database from filling its volume: it takes no writes before that, and takes them again
when there is room.

      left beside the reserve        writes           reserve
    ──────────────────────────────────────────────────────────
      high and more                  taken            held
      between low and high           as they were     held
      less than low                  refused          held
      nearly none at all             refused          let go

Nothing is remembered: what is left the volume tells, whether writes are refused the database.

A look at the volume costs nothing, so it is made as often as the fastest writer could need it, and
waits for no heartbeat. The database is asked when there is something to tell it.
"""

from __future__ import annotations

import logging
from typing import Final, Generic, Protocol, TypeVar

from guest_agent.errors import CommandFailed
from guest_agent.storage.room import Room

GUARD_SECONDS: Final = 5.0
"""To let a database take no writes, or take them again."""
LOOK_SECONDS: Final = 1.0
"""From one look at the volume to the next, at most: it may be made larger."""
SHORTEST_SECONDS: Final = 0.02
AGAIN_SECONDS: Final = 0.25
"""After the database could not be told."""
FASTEST_BYTES: Final = 1024**3
"""Written in a second, at most; in the shortest time between two looks less than `low` is."""
FULL: Final = "the volume is full"
CLOSED: Final = f"{FULL}: the database takes no writes until there is more room"
OPENED: Final = "the volume has room again, and the database takes writes"
BRIEFLY: Final = (
    "the volume was full for a moment, in which the database took no writes; it takes them again"
)
"""The same where nobody was told that it took none: it had room again before the next pulse."""
_log = logging.getLogger(__name__)

T = TypeVar("T", contravariant=True)


class Volume(Protocol):
    """What a database fills; `guest_agent.storage.room` says more."""

    def look(self) -> Room | None:
        """The room on it; None when there is none to look at."""

    def keep(self, room: Room) -> None:
        """Hold the reserve."""

    def let_go(self) -> bool:
        """Give the reserve to the database; whether there was one."""


class Guarded(Protocol[T]):
    """A database and its volume; `guest_agent.datastores.server` says more."""

    @property
    def room(self) -> Volume:
        """What it fills."""

    def refuses_writes(self, session: T) -> bool:
        """Whether it takes no writes."""

    def refuse_writes(self, session: T) -> None:
        """Let it take none."""

    def refuse_unasked(self) -> None:
        """Let it take none, where it can be told without a session: by what it reads."""

    def take_writes(self, session: T) -> None:
        """Let it take them again."""


class Guard(Generic[T]):
    """`look` is called after each answer of the database, from one thread at a time; `due` and
    `pause` by who watches the volume.

    `closed` is what the database has said; None when it has to be asked.
    """

    def __init__(self) -> None:
        self._closed: bool | None = None
        self._opened = False
        self._told = True  # who was at it before may have told
        self._free = 0

    def due(self, room: Room) -> bool:
        """Whether the database is to be told at once: it still takes writes, or goes on writing."""
        shrinks, self._free = room.free < self._free, room.free
        return room.left < room.low and (shrinks or not self._closed)

    def pause(self, room: Room) -> float:
        """Seconds after which the volume is to be looked at again."""
        if room.left < room.low:
            return SHORTEST_SECONDS if self._closed else AGAIN_SECONDS
        return min(max((room.left - room.low) / FASTEST_BYTES, SHORTEST_SECONDS), LOOK_SECONDS)

    def look(self, server: Guarded[T], session: T) -> str | None:
        """Do what is due; why it takes no writes, if it does not."""
        room = server.room.look()
        if room is None:
            return None
        full = room.left < room.low
        if room.last and server.room.let_go():  # first: who writes ends only when it has room
            _log.warning("The volume is full; the reserve is let go.")
        try:
            self._turn(server, session, room, full=full)
        except CommandFailed as error:
            self._closed = None
            _log.error("The database was not kept from filling its volume: %s", error)
        if not room.last:
            server.room.keep(room)
        return CLOSED if full or self._closed else None

    def _turn(self, server: Guarded[T], session: T, room: Room, *, full: bool) -> None:
        if full:
            server.refuse_writes(session)
            if self._closed is False:
                self._told = False
            self._closed = True
            return
        if self._closed is None:
            self._closed = server.refuses_writes(session)
        if self._closed and room.left >= room.high:
            server.take_writes(session)
            self._closed, self._opened = False, True

    def said(self) -> tuple[str, ...]:
        """What was put right since the last call."""
        opened, self._opened = self._opened, False
        return (OPENED if self._told else BRIEFLY,) if opened else ()

    def reported(self) -> None:
        """That it takes no writes was told to who asks for its condition."""
        self._told = True

    def make_way(self, server: Guarded[T]) -> None:
        """Before a start, or where nobody answers: let go the reserve where the database has not
        room enough to start, and have nobody else write there until it is asked again."""
        self._closed = None
        room = server.room.look()
        if room is None or room.left >= room.low:
            return
        server.refuse_unasked()
        if room.free < room.low and server.room.let_go():
            _log.warning("The volume is full; the database starts in the reserve.")


def is_full(volume: Volume) -> bool:
    """Whether a database that does not run would take no writes if it did."""
    room = volume.look()
    return room is not None and room.left < room.low
