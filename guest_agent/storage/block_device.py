"""A volume that is a block device: formatted once, when it is blank, and mounted by its UUID."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Final

from guest_agent.errors import GuestError
from guest_agent.files import write_whole
from guest_agent.storage import tools

FORMAT_SECONDS: Final = 120.0
MOUNT_SECONDS: Final = 60.0
OPTIONS: Final = "noatime,nosuid,nodev,noexec"
"""A volume outlives its server: what was done to it there must not make anybody root here."""
GROW_SECONDS: Final = 900.0
APPEAR_SECONDS: Final = 60.0
"""After Cinder has extended it, Nova tells the hypervisor, and that the kernel."""
_POLL_SECONDS: Final = 0.5
_GIB: Final = 1024**3
_END_BYTES: Final = 1024**2
_BLANK: Final = 2  # blkid's exit code when it finds nothing
_FSTAB: Final = Path("/etc/fstab")
_SWAPS: Final = Path("/proc/swaps")
_MOUNTS: Final = Path("/proc/self/mounts")


def attach(device: Path, mount_point: Path, *, format_blank: bool = True) -> None:
    """Format a blank device if it may be, mount it, and have it mounted at every boot.

    Each part looks first, so that one who died over it is gone on from.
    """
    mounted = _mounted_at(mount_point)
    if mounted is None:
        _make_and_mount(device, mount_point, format_blank)
    elif mounted.resolve() != device.resolve():
        raise GuestError(f"{mount_point} holds another volume ({mounted})")
    _remember(device, mount_point)  # also what somebody has mounted who died over this


def _make_and_mount(device: Path, mount_point: Path, format_blank: bool) -> None:
    _refuse_used(device)
    if _is_blank(device):
        if not format_blank:
            raise GuestError(f"the volume {device.name} is blank, and was to hold data")
        tools.run(["mkfs.ext4", "-q", "-m", "1", str(device)], FORMAT_SECONDS)
    mount_point.mkdir(parents=True, exist_ok=True)
    tools.run(["mount", "-o", OPTIONS, str(device), str(mount_point)], MOUNT_SECONDS)


def grow(device: Path, mount_point: Path, size_gib: int) -> None:
    """Wait until the kernel has the new size, then let the mounted file system have all of it.

    ext4 grows while it is used (resize2fs(8)), and says so when there is nothing to do.
    """
    mounted = _mounted_at(mount_point)
    if mounted is None or mounted.resolve() != device.resolve():
        raise GuestError(f"the volume {device.name} is not mounted at {mount_point}")
    deadline = time.monotonic() + APPEAR_SECONDS
    while _bytes_of(device) < size_gib * _GIB:
        if time.monotonic() >= deadline:
            raise GuestError(
                f"the volume {device.name} has {_bytes_of(device) / _GIB:.1f} GiB after "
                f"{APPEAR_SECONDS:.0f} s, and was to have {size_gib}"
            )
        time.sleep(_POLL_SECONDS)
    tools.run(["resize2fs", str(device)], GROW_SECONDS)


def _bytes_of(device: Path) -> int:
    sectors = Path("/sys/class/block") / device.resolve().name / "size"
    return int(sectors.read_text()) * 512  # whatever the sectors of the device are


def _refuse_used(device: Path) -> None:
    """`GuestError` for a device that the system uses for something else."""
    real = str(device.resolve())
    for table, use in ((_MOUNTS, "is mounted elsewhere"), (_SWAPS, "is used as swap")):
        lines = table.read_text().splitlines() if table.exists() else []
        if any(
            str(Path(line.split()[0]).resolve()) == real for line in lines if line.startswith("/")
        ):
            raise GuestError(f"the volume {device.name} {use}")


def _mounted_at(mount_point: Path) -> Path | None:
    for line in _MOUNTS.read_text().splitlines():
        device, place = line.split()[:2]
        if place.encode().decode("unicode_escape") == str(mount_point):
            return Path(device)
    return None


def _is_blank(device: Path) -> bool:
    """Whether low-level probing finds no file system, no partition table and no other signature.

    Anything but a clear "nothing found" (ambivalent signatures, a read error) is not blank. blkid
    ends as it does on a blank one when it cannot read a device: so both ends of it are read first.
    """
    _require_readable(device)
    probe = tools.attempt(["blkid", "-p", "-o", "export", str(device)], MOUNT_SECONDS)
    if probe.returncode == _BLANK:
        return True
    if "TYPE=swap" in probe.stdout.splitlines():
        raise GuestError(f"the volume {device.name} is formatted as swap")
    if probe.returncode != 0:
        raise GuestError(f"{device} cannot be probed and is left alone: {tools.said(probe)}")
    return False


def _require_readable(device: Path) -> None:
    """Signatures stand at both ends of a device."""
    try:
        with device.open("rb", buffering=0) as disk:
            disk.read(_END_BYTES)
            disk.seek(max(disk.seek(0, os.SEEK_END) - _END_BYTES, 0))
            disk.read(_END_BYTES)
    except OSError as error:
        why = error.strerror or type(error).__name__
        raise GuestError(f"{device} cannot be read and is left alone: {why}") from None


def _remember(device: Path, mount_point: Path) -> None:
    uuid = tools.run(
        ["blkid", "-s", "UUID", "-o", "value", str(device)], MOUNT_SECONDS
    ).stdout.strip()
    lines = _FSTAB.read_text().splitlines() if _FSTAB.exists() else []
    entry = f"UUID={uuid} {mount_point} ext4 {OPTIONS},nofail 0 2"
    if entry in lines:
        return
    kept = [line for line in lines if str(mount_point) not in line.split()[1:2]]
    write_whole(_FSTAB, "\n".join([*kept, entry, ""]).encode(), mode=0o644)
