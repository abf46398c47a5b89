"""How libvirt's driver names the disks of a server: root, ephemeral, swap, and only then volumes.

nova/virt/libvirt/blockinfo.py: each takes the next free letter of its bus, and the bus is what the
image asks for. So a volume is `/dev/vdb` only where the flavor has no disk but the root one.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from simulator.cloud.model.errors import BadRequest, Forbidden
from simulator.cloud.model.flavors import Flavor

BUS_PROPERTY: Final = "hw_disk_bus"
PREFIXES: Final = {"virtio": "vd", "scsi": "sd", "sata": "sd", "usb": "sd", "ide": "hd"}
DEFAULT_BUS: Final = "virtio"
LETTERS: Final = "abcdefghijklmnopqrstuvwxyz"


def bus_of(properties: dict[str, str]) -> str:
    """The bus that an image asks for; BadRequest for one that there is not."""
    bus = properties.get(BUS_PROPERTY, DEFAULT_BUS)
    if bus not in PREFIXES:
        raise BadRequest(f"Invalid image metadata. Error: {BUS_PROPERTY} {bus} is not supported.")
    return bus


def local_disks(flavor: Flavor, bus: str) -> tuple[str, ...]:
    """The devices of the flavor's ephemeral disk and of its swap, where it has them."""
    wanted = [size for size in (flavor.ephemeral, flavor.swap) if size > 0]
    return tuple(f"/dev/{PREFIXES[bus]}{letter}" for letter in LETTERS[1 : 1 + len(wanted)])


def next_device(flavor: Flavor, bus: str, taken: Iterable[str]) -> str:
    """The device of one more volume; Forbidden when there is no letter left."""
    root = f"/dev/{PREFIXES[bus]}{LETTERS[0]}"
    used = {root, *local_disks(flavor, bus), *taken}
    for letter in LETTERS:
        if (device := f"/dev/{PREFIXES[bus]}{letter}") not in used:
            return device
    raise Forbidden("Maximum number of block devices exceeded.")
