"""The room that is left on a volume, and a file that keeps some of it back.

    reserve   let go when nothing else is left, so that a database can end what it is at, and start
    low       with less than this beside the reserve the database takes no writes
    high      with more than this it takes them again

A directory that shares its file system with others has no reserve: what it let go anybody could
take.
"""

from __future__ import annotations

import math
import os
from contextlib import suppress
from pathlib import Path
from typing import Final, NamedTuple

from guest_agent.errors import GuestError
from guest_agent.files import open_folder
from guest_agent.storage import directory

MIB: Final = 1024**2
GIB: Final = 1024**3
RESERVE: Final = "reserve"
LAST_BYTES: Final = 8 * MIB
"""With less than this InnoDB, which grows by some MiB at a time, is about to stop."""
RESERVE_SHARE: Final = 1 / 16
RESERVE_BYTES: Final = (40 * MIB, 64 * MIB)
"""What a start needs: InnoDB's temporary tables, or PostgreSQL's two segments of its log (for the
end of a recovery, and the first record behind it) beside the pages of a checkpoint."""
LOW_SHARE: Final = 1 / 32
LOW_BYTES: Final = (24 * MIB, 1024 * MIB)
"""What may be written between two looks, a second apart."""
HYSTERESIS: Final = 2


class Room(NamedTuple):
    """In bytes. `free` is what the database may take, `held` what the reserve has of the volume,
    `reserve` what it should have.
    """

    free: int
    held: int
    reserve: int
    low: int

    @property
    def left(self) -> int:
        """What is left beside the reserve, whether that is held or let go."""
        return self.free + self.held - self.reserve

    @property
    def high(self) -> int:
        """With so much left the database takes writes again."""
        return HYSTERESIS * self.low

    @property
    def last(self) -> bool:
        """Whether a database is about to stop for want of room."""
        return self.free < LAST_BYTES


def size_gib(mount_point: Path) -> int:
    """The size of the volume below, as it was asked for: a file system has a little less. 1 where
    there is none to ask: no volume is smaller."""
    try:
        figures = os.statvfs(mount_point)
    except OSError:
        return 1
    return math.ceil(figures.f_blocks * figures.f_frsize / GIB)


class OnVolume(NamedTuple):
    """The room on what is mounted."""

    mount_point: Path

    def look(self) -> Room | None:
        """The room on the volume; None when there is none to look at."""
        try:
            figures = os.statvfs(self.mount_point)
        except OSError:
            return None
        free = figures.f_bavail * figures.f_frsize
        if directory.shares(self.mount_point):
            return Room(free, 0, 0, LAST_BYTES)
        total = figures.f_blocks * figures.f_frsize
        reserve = int(_within(total * RESERVE_SHARE, RESERVE_BYTES))
        low = int(_within(total * LOW_SHARE, LOW_BYTES))
        return Room(free, self._held(), reserve, low)

    def keep(self, room: Room) -> None:
        """Hold the reserve, where there is room for it beside what the database needs."""
        if room.held >= room.reserve or room.left < room.low:
            return
        try:
            with open_folder(self.mount_point.resolve()) as folder:
                flags = os.O_WRONLY | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
                descriptor = os.open(RESERVE, flags, 0o600, dir_fd=folder)
                try:
                    os.posix_fallocate(descriptor, 0, room.reserve)
                finally:
                    os.close(descriptor)
        except (GuestError, OSError):
            self.let_go()

    def let_go(self) -> bool:
        """Give the reserve to the database; whether there was one."""
        try:
            (self.mount_point / RESERVE).unlink()
        except OSError:
            return False
        return True

    def _held(self) -> int:
        with suppress(OSError):
            return (self.mount_point / RESERVE).lstat().st_blocks * 512
        return 0


def _within(wanted: float, bounds: tuple[int, int]) -> float:
    return min(max(wanted, bounds[0]), bounds[1])
