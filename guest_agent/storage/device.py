"""Which block device is the data volume: the one that carries its id, never the one of a letter.

Letters follow the order in which a hypervisor found its disks: with an ephemeral disk or swap in
the flavor `/dev/vdb` is one of those. The serial of a volume is its Cinder id, of which virtio
keeps the first 20 characters (Linux: `VIRTIO_BLK_ID_BYTES`). udev makes links of serials, and the
kernel shows them.
"""

from __future__ import annotations

import time
from pathlib import Path
from typing import Final

from guest_agent.errors import GuestError

APPEAR_SECONDS: Final = 60.0  # after Nova says attached, the kernel may need a moment
SERIAL_CHARACTERS: Final = 20
_POLL_SECONDS: Final = 0.2


def wait_for(root: Path, volume_id: str) -> Path:
    """The device of a volume; `GuestError` when it does not appear in time."""
    if len(volume_id) < SERIAL_CHARACTERS or "/" in volume_id:
        raise GuestError("the id of the volume is none that a device could carry")
    deadline = time.monotonic() + APPEAR_SECONDS
    while (found := _find(root, volume_id[:SERIAL_CHARACTERS])) is None:
        if time.monotonic() >= deadline:
            raise GuestError(f"the volume {volume_id} did not appear within {APPEAR_SECONDS:.0f} s")
        time.sleep(_POLL_SECONDS)
    return found


def _find(root: Path, serial: str) -> Path | None:
    links = root / "dev/disk/by-id"
    if links.is_dir():
        for link in sorted(links.iterdir()):
            if serial in link.name and "-part" not in link.name and link.exists():
                return link
    blocks = root / "sys/block"
    if blocks.is_dir():
        for block in sorted(blocks.iterdir()):
            if _serial_of(block).startswith(serial):
                return root / "dev" / block.name
    return None


def _serial_of(block: Path) -> str:
    try:
        return (block / "serial").read_text(errors="replace").strip()
    except OSError:  # a disk of another kind has none there
        return ""
