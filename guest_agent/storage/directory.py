"""A volume that is a directory, as the local hypervisor attaches it: a link is the mount."""

from __future__ import annotations

import os
from pathlib import Path

from guest_agent.errors import GuestError


def attach(device: Path, mount_point: Path) -> None:
    """Point the mount point at the directory; an empty directory there gives way."""
    if mount_point.is_symlink():
        if mount_point.readlink() == device:
            return
        mount_point.unlink()
    elif mount_point.exists():
        try:
            mount_point.rmdir()
        except OSError:
            raise GuestError(f"{mount_point} holds files that are not on the volume") from None
    mount_point.parent.mkdir(parents=True, exist_ok=True)
    mount_point.symlink_to(device, target_is_directory=True)
    _let_others_through(device)


def is_attached(mount_point: Path) -> bool:
    """Whether a mount point stands for a directory volume."""
    return mount_point.is_symlink()


def shares(mount_point: Path) -> bool:
    """Whether a directory volume has no file system to itself."""
    return is_attached(mount_point) and not os.path.ismount(mount_point.resolve())


def size(mount_point: Path) -> int:
    """Bytes that the files below take on disk."""
    total = 0
    for _, _, names, folder in os.fwalk(mount_point.resolve(), follow_symlinks=False):
        for name in names:
            try:
                total += os.stat(name, dir_fd=folder, follow_symlinks=False).st_blocks * 512
            except FileNotFoundError:
                continue  # a temporary file of the database
    return total


def _let_others_through(device: Path) -> None:
    """The database's own directory inside is private; the way to it need not be."""
    mode = device.stat().st_mode
    if mode & 0o111 != 0o111:
        device.chmod(mode | 0o111)
