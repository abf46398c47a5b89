"""Which block device is the data volume: the one that carries its id, never the one of a letter.

Letters follow the order in which a hypervisor found its disks: with an ephemeral disk or swap in
the flavor `/dev/vdb` is one of those. Nova's drivers give a volume its Cinder id as its serial,
and each bus shows it in its own way; what udev has made links of is looked at first:

    virtio    /sys/block/vdb/serial                the first 20 characters (VIRTIO_BLK_ID_BYTES)
    scsi      /sys/block/sdb/device/vpd_pg80       a header of 4 bytes, then all of it
    sata      as scsi                              the first 20 characters
    nvme      /sys/block/nvme1n1/device/serial     the first 20 characters

A bus that shows none (Xen's, IDE's of old) has nothing to tell a disk by, and is not supported.
"""

from __future__ import annotations

import time
from pathlib import Path
from typing import Final

from guest_agent.errors import GuestError

APPEAR_SECONDS: Final = 60.0  # after Nova says attached, the kernel may need a moment
SERIAL_CHARACTERS: Final = 20
_VPD_HEADER_BYTES: Final = 4
_POLL_SECONDS: Final = 0.2


def wait_for(root: Path, volume_id: str) -> Path:
    """The device of a volume; `GuestError` when it does not appear in time, or two are it."""
    if len(volume_id) < SERIAL_CHARACTERS or "/" in volume_id:
        raise GuestError("the id of the volume is none that a device could carry")
    deadline = time.monotonic() + APPEAR_SECONDS
    while (found := _find(root, volume_id)) is None:
        if time.monotonic() >= deadline:
            raise GuestError(
                f"the volume {volume_id} did not appear within {APPEAR_SECONDS:.0f} s: "
                f"no disk carries its id ({_seen(root)})"
            )
        time.sleep(_POLL_SECONDS)
    return found


def _find(root: Path, volume_id: str) -> Path | None:
    found = {link.resolve(): link for link in _links(root, volume_id)} or {
        root / "dev" / disk.name: root / "dev" / disk.name
        for disk in _disks(root)
        if any(_is_of(volume_id, serial) for serial in _serials(disk))
    }
    if len(found) > 1:
        names = ", ".join(sorted(device.name for device in found))
        raise GuestError(f"the volume {volume_id} cannot be told: {names} carry its id")
    return next(iter(found.values()), None)


def _links(root: Path, volume_id: str) -> list[Path]:
    folder, serial = root / "dev/disk/by-id", volume_id[:SERIAL_CHARACTERS]
    if not folder.is_dir():
        return []
    return [
        link
        for link in sorted(folder.iterdir(), reverse=True)  # virtio-… before what follows from it
        if serial in link.name and "-part" not in link.name and link.exists()
    ]


def _disks(root: Path) -> list[Path]:
    folder = root / "sys/block"
    return sorted(folder.iterdir()) if folder.is_dir() else []


def _serials(disk: Path) -> list[str]:
    vital = _read(disk / "device/vpd_pg80")[_VPD_HEADER_BYTES:]
    shown = [_read(disk / "serial"), _read(disk / "device/serial"), vital]
    return [each.decode(errors="replace").strip("\0 \n") for each in shown]


def _is_of(volume_id: str, serial: str) -> bool:
    """Whether it is the volume's id, or as much of it as the bus takes."""
    return len(serial) >= SERIAL_CHARACTERS and volume_id.startswith(serial)


def _read(file: Path) -> bytes:
    try:
        return file.read_bytes()
    except OSError:  # a disk of another bus has none there
        return b""


def _seen(root: Path) -> str:
    """What an operator has to know of the disks that there are."""
    disks = [
        f"{disk.name} {next((serial for serial in _serials(disk) if serial), 'without a serial')}"
        for disk in _disks(root)
        if not disk.name.startswith(("loop", "ram", "zram"))
    ]
    return "there are " + ", ".join(disks) if disks else "there is no disk"
