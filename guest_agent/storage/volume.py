"""Makes a volume usable at its mount point, whichever kind it is, and tells how full it is."""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import Final

from guest_agent.errors import GuestError
from guest_agent.storage import block_device, directory

_GIB: Final = 1024**3


def attach(device: Path, mount_point: Path, *, format_blank: bool = True) -> None:
    """Make the volume appear at its mount point; repeating it changes nothing.

    A device with a file system is mounted as it is: nothing with content is ever formatted. One
    that is blank, where data should be, is left alone (`GuestError`) without `format_blank`.
    """
    if stat.S_ISBLK(_kind_of(device)):
        block_device.attach(device, mount_point, format_blank=format_blank)
    else:
        directory.attach(device.resolve(), mount_point)


def grow(device: Path, mount_point: Path, *, size_gib: int = 0) -> None:
    """Let what is mounted have all of a volume, once it has that size; repeating changes nothing.

    A directory has what its file system has.
    """
    if stat.S_ISBLK(_kind_of(device)):
        block_device.grow(device, mount_point, size_gib)


def usage(mount_point: Path) -> dict[str, float]:
    """`used` and `total` in GiB, of what the database may have (as df tells it).

    The blocks that a file system keeps for root are in neither figure, so that a volume on which
    nothing more can be written is 100 % used. A directory shares its file system: its own files are
    counted.
    """
    if not mount_point.exists():
        return {"used": 0.0, "total": 0.0}
    figures = os.statvfs(mount_point)
    taken = (figures.f_blocks - figures.f_bfree) * figures.f_frsize
    total = taken + figures.f_bavail * figures.f_frsize
    used = directory.size(mount_point) if directory.shares(mount_point) else taken
    return {"used": round(used / _GIB, 3), "total": round(total / _GIB, 3)}


def _kind_of(device: Path) -> int:
    """The mode of the device; `GuestError` when it is something else, or not there."""
    try:
        mode = device.stat().st_mode
    except OSError:
        raise GuestError(f"there is no volume at {device.name}") from None
    if not (stat.S_ISBLK(mode) or stat.S_ISDIR(mode)):
        raise GuestError(f"the volume {device.name} is neither a block device nor a directory")
    return mode
