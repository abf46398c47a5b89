"""The data volume is the disk that carries its id, on whatever bus, and no other."""

from __future__ import annotations

from pathlib import Path

import pytest

from guest_agent.errors import GuestError
from guest_agent.storage import device

VOLUME = "5d3c1f5e-0c7b-4f4e-9d5c-3f2a7d7e8a90"
SHORT = VOLUME[:20]


def link(root: Path, name: str, letter: str) -> None:
    """What udev makes of a disk that the kernel has found."""
    links = root / "dev/disk/by-id"
    links.mkdir(parents=True, exist_ok=True)
    (root / "dev" / letter).touch()
    (links / name).symlink_to(f"../../{letter}")


def show(root: Path, file: str, content: bytes) -> None:
    """What the kernel says of a disk."""
    path = root / "sys/block" / file
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)


@pytest.mark.parametrize(
    "name",
    [
        f"virtio-{SHORT}",
        f"scsi-0QEMU_QEMU_HARDDISK_{VOLUME}",
        f"ata-QEMU_HARDDISK_{SHORT}",
        f"nvme-QEMU_NVMe_Ctrl_{SHORT}",
        f"wwn-{VOLUME}",
    ],
)
def test_a_volume_is_found_by_its_id_whatever_its_letter(tmp_path: Path, name: str) -> None:
    for letter, called in (("vdb", "virtio-ephemeral"), ("vdd", name), ("vdd1", f"{name}-part1")):
        link(tmp_path, called, letter)
    assert device.wait_for(tmp_path, VOLUME).resolve() == tmp_path / "dev/vdd"


@pytest.mark.parametrize(
    ("disk", "file", "content"),
    [
        ("vdc", "serial", SHORT.encode()),
        ("sdc", "device/vpd_pg80", b"\0\x80\0\x24" + VOLUME.encode()),
        ("sdc", "device/vpd_pg80", b"\0\x80\0\x14" + SHORT.encode()),
        ("nvme1n1", "device/serial", f"{SHORT}   \n".encode()),
    ],
)
def test_a_volume_without_a_link_is_found_by_what_the_kernel_shows(
    tmp_path: Path, disk: str, file: str, content: bytes
) -> None:
    (tmp_path / "sys/block/vda").mkdir(parents=True)
    show(tmp_path, "vdb/serial", b"")
    show(tmp_path, f"{disk}/{file}", content)
    assert device.wait_for(tmp_path, VOLUME) == tmp_path / "dev" / disk


def test_one_disk_by_two_names_is_one_disk(tmp_path: Path) -> None:
    link(tmp_path, f"scsi-0QEMU_QEMU_HARDDISK_{VOLUME}", "sdb")
    link(tmp_path, f"scsi-SQEMU_QEMU_HARDDISK_{VOLUME}", "sdb")
    assert device.wait_for(tmp_path, VOLUME).resolve() == tmp_path / "dev/sdb"


def test_of_two_disks_with_its_id_none_is_taken(tmp_path: Path) -> None:
    link(tmp_path, f"virtio-{SHORT}", "vdb")
    link(tmp_path, f"scsi-0QEMU_QEMU_HARDDISK_{VOLUME}", "sdb")
    with pytest.raises(GuestError, match="cannot be told: sdb, vdb carry its id"):
        device.wait_for(tmp_path, VOLUME)


def test_what_there_is_instead_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(device, "APPEAR_SECONDS", 0.0)
    with pytest.raises(GuestError, match=r"did not appear within 0 s.*there is no disk"):
        device.wait_for(tmp_path, VOLUME)
    other = "11111111-2222-4333-8444-555555555555"
    show(tmp_path, "loop0/serial", b"")
    show(tmp_path, "vda/serial", b"")
    show(tmp_path, "vdb/serial", other[:20].encode())
    show(tmp_path, "vdc/serial", VOLUME[:19].encode())
    said = rf"vda without a serial, vdb {other[:20]}, vdc {VOLUME[:19]}\)"
    with pytest.raises(GuestError, match=said):
        device.wait_for(tmp_path, VOLUME)


@pytest.mark.parametrize("odd", ["", "short", "../../../../etc/passwd/x"])
def test_an_id_that_no_device_carries_is_refused_at_once(tmp_path: Path, odd: str) -> None:
    with pytest.raises(GuestError, match="none that a device could carry"):
        device.wait_for(tmp_path, odd)
