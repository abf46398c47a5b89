"""Volumes: attached once, never formatted when anything is on them."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path
from types import SimpleNamespace

import pytest

from guest_agent.errors import GuestError
from guest_agent.storage import block_device, directory, room, tools, volume

GIB = 1024**3


@pytest.fixture
def device(tmp_path: Path) -> Path:
    """A directory volume, attached as the local hypervisor does it."""
    (tmp_path / "volumes/1").mkdir(parents=True)
    (tmp_path / "dev").mkdir()
    (tmp_path / "dev/vdb").symlink_to(tmp_path / "volumes/1")
    return tmp_path / "dev/vdb"


def test_a_directory_stands_at_the_mount_point(device: Path, tmp_path: Path) -> None:
    place = tmp_path / "var/lib/mysql"
    for _ in range(2):
        volume.attach(device, place)
        (place / "file").write_bytes(bytes(1024**2))
    assert (tmp_path / "volumes/1/file").exists()
    usage = volume.usage(place)
    assert 0.0009 < usage["used"] < 0.0011 < usage["total"]


def test_another_volume_takes_the_place_of_the_former(device: Path, tmp_path: Path) -> None:
    place = tmp_path / "mysql"
    place.symlink_to(tmp_path / "gone")
    volume.attach(device, place)
    assert place.resolve() == (tmp_path / "volumes/1")


def test_files_in_the_way_are_not_hidden(device: Path, tmp_path: Path) -> None:
    (tmp_path / "mysql").mkdir()
    (tmp_path / "mysql/data").touch()
    with pytest.raises(GuestError, match="not on the volume"):
        volume.attach(device, tmp_path / "mysql")


def test_a_volume_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(GuestError, match="there is no volume at vdb"):
        volume.attach(tmp_path / "vdb", tmp_path / "mysql")


def test_a_file_is_no_volume(tmp_path: Path) -> None:
    (tmp_path / "vdb").touch()
    with pytest.raises(GuestError, match="neither a block device nor a directory"):
        volume.attach(tmp_path / "vdb", tmp_path / "mysql")


def test_without_a_volume_nothing_is_used(tmp_path: Path) -> None:
    assert volume.usage(tmp_path / "mysql") == {"used": 0.0, "total": 0.0}
    assert not directory.is_attached(tmp_path / "mysql")


class Disk:
    """The tools around one disk: `content` is what blkid finds on it."""

    def __init__(self, folder: Path) -> None:
        self.content = ""
        self.probe_fails = False
        self.commands: list[list[str]] = []
        self.device = folder / "vdb"
        self.mounts = folder / "mounts"
        self.swaps = folder / "swaps"
        self.mounts.write_text("proc /proc proc rw 0 0\n")

    @property
    def ran(self) -> list[str]:
        return [command[0] for command in self.commands]

    def run(self, command: list[str], seconds: float) -> subprocess.CompletedProcess[str]:
        self.commands.append(command)
        code, output = 0, ""
        match command[0]:
            case "blkid" if "-p" in command:
                code = 8 if self.probe_fails else 0 if self.content else 2
                output = f"DEVNAME={self.device}\nTYPE={self.content}\n"
            case "blkid":
                output = "1234-UUID\n"
            case "mkfs.ext4":
                self.content = "ext4"
            case "mount":
                self.mounts.write_text(f"{self.device} {command[-1]} ext4 rw 0 0\n")
        return subprocess.CompletedProcess(command, code, output, "ambivalent result")


@pytest.fixture
def disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Disk:
    made = Disk(tmp_path)
    made.device.touch()
    monkeypatch.setattr(tools, "attempt", made.run)
    monkeypatch.setattr(block_device, "_MOUNTS", made.mounts)
    monkeypatch.setattr(block_device, "_SWAPS", made.swaps)
    monkeypatch.setattr(block_device, "_FSTAB", tmp_path / "fstab")
    return made


def test_a_blank_disk_is_formatted_once(disk: Disk, tmp_path: Path) -> None:
    (tmp_path / "fstab").write_text("UUID=root / ext4 defaults 0 1\n")
    for _ in range(3):
        block_device.attach(disk.device, tmp_path / "mysql")
    assert disk.ran.count("mkfs.ext4") == disk.ran.count("mount") == 1
    assert (tmp_path / "fstab").read_text().splitlines() == [
        "UUID=root / ext4 defaults 0 1",
        f"UUID=1234-UUID {tmp_path}/mysql ext4 noatime,nosuid,nodev,noexec,nofail 0 2",
    ]
    (mounted,) = (command for command in disk.commands if command[0] == "mount")
    assert "noatime,nosuid,nodev,noexec" in mounted, "before the first boot from the table, too"


def test_a_blank_disk_where_data_has_to_be_is_left_alone(disk: Disk, tmp_path: Path) -> None:
    with pytest.raises(GuestError, match="is blank, and was to hold data"):
        block_device.attach(disk.device, tmp_path / "mysql", format_blank=False)
    assert disk.ran == ["blkid"]


@pytest.mark.parametrize("content", ["ext4", "xfs", "a partition table"])
def test_a_disk_with_content_is_never_formatted(disk: Disk, tmp_path: Path, content: str) -> None:
    disk.content = content
    block_device.attach(disk.device, tmp_path / "mysql")
    assert "mkfs.ext4" not in disk.ran


def with_bytes(path: Path, **at: bytes) -> Path:
    """A disk of 8 MiB that has these bytes at these places, `at_510=b"…"`."""
    with path.open("wb") as disk:
        disk.truncate(8 * 1024**2)
        for place, content in at.items():
            disk.seek(int(place.removeprefix("at_")))
            disk.write(content)
    return path


PARTITION = bytes([0x80, 0, 2, 0, 0x83, 0, 9, 0]) + (2048).to_bytes(4, "little") * 2


@pytest.mark.parametrize(
    "content",
    [
        {"at_446": PARTITION, "at_510": b"\x55\xaa"},
        {"at_0": b"LUKS\xba\xbe\x00\x01"},
        {"at_65600": b"_BHRfS_M"},
    ],
    ids=["partitions", "luks", "btrfs"],
)
def test_what_blkid_itself_knows_is_not_blank(
    tmp_path: Path, content: dict[str, bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Asked of the real tool, which not everybody's PATH leads to."""
    monkeypatch.setenv("PATH", f"{os.environ['PATH']}:/usr/sbin:/sbin")
    assert block_device._is_blank(with_bytes(tmp_path / "blank"))
    assert not block_device._is_blank(with_bytes(tmp_path / "disk", **content))


def test_a_disk_that_cannot_be_read_is_left_alone(disk: Disk, tmp_path: Path) -> None:
    """blkid finds nothing there, as on a blank one, and ends alike."""
    disk.device.unlink()
    disk.device.mkdir()
    with pytest.raises(GuestError, match=r"cannot be read and is left alone: Is a directory"):
        block_device.attach(disk.device, tmp_path / "mysql")
    assert disk.ran == []


def test_what_somebody_has_mounted_who_died_over_it_is_remembered(
    disk: Disk, tmp_path: Path
) -> None:
    disk.content = "ext4"
    disk.mounts.write_text(f"{disk.device} {tmp_path}/mysql ext4 rw 0 0\n")
    block_device.attach(disk.device, tmp_path / "mysql")
    assert f"UUID=1234-UUID {tmp_path}/mysql" in (tmp_path / "fstab").read_text()
    assert "mount" not in disk.ran


def test_a_disk_that_cannot_be_probed_is_left_alone(disk: Disk, tmp_path: Path) -> None:
    disk.probe_fails = True
    with pytest.raises(GuestError, match="left alone: ambivalent"):
        block_device.attach(disk.device, tmp_path / "mysql")
    assert disk.ran == ["blkid"]


def test_another_disk_at_the_mount_point_is_not_covered(disk: Disk, tmp_path: Path) -> None:
    disk.mounts.write_text(f"/dev/other {tmp_path}/mysql ext4 rw 0 0\n")
    with pytest.raises(GuestError, match="holds another volume"):
        block_device.attach(disk.device, tmp_path / "mysql")


def test_a_mounted_disk_grows_once_the_kernel_has_its_size(
    disk: Disk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sizes = [GIB * gib for gib in (2, 2, 5)]
    monkeypatch.setattr(
        block_device, "_bytes_of", lambda _: sizes[0] if len(sizes) == 1 else sizes.pop(0)
    )
    monkeypatch.setattr(block_device, "_POLL_SECONDS", 0.0)
    block_device.attach(disk.device, tmp_path / "mysql")
    block_device.grow(disk.device, tmp_path / "mysql", 5)
    assert (sizes, disk.ran[-1]) == ([5 * GIB], "resize2fs")


def test_a_disk_that_stays_small_is_told(
    disk: Disk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(block_device, "_bytes_of", lambda _: 2 * 1024**3)
    monkeypatch.setattr(block_device, "APPEAR_SECONDS", 0.0)
    block_device.attach(disk.device, tmp_path / "mysql")
    with pytest.raises(GuestError, match=r"has 2\.0 GiB after 0 s, and was to have 5"):
        block_device.grow(disk.device, tmp_path / "mysql", 5)
    assert "resize2fs" not in disk.ran


def test_only_what_is_mounted_grows(disk: Disk, tmp_path: Path) -> None:
    with pytest.raises(GuestError, match="is not mounted at"):
        block_device.grow(disk.device, tmp_path / "mysql", 5)


def test_a_tool_that_is_missing_is_named(tmp_path: Path) -> None:
    with pytest.raises(GuestError, match="no-such-tool is not installed"):
        tools.run(["no-such-tool"], 1.0)


@pytest.mark.parametrize(
    ("content", "table", "line", "said"),
    [
        ("swap", "swaps", "", "formatted as swap"),
        ("", "swaps", "{device} partition 1048572 0 -2", "used as swap"),
        ("ext4", "mounts", "{device} /mnt ext4 rw 0 0", "mounted elsewhere"),
    ],
)
def test_a_disk_that_serves_something_else_is_refused(
    disk: Disk, tmp_path: Path, content: str, table: str, line: str, said: str
) -> None:
    disk.content = content
    getattr(disk, table).write_text(line.format(device=disk.device) + "\n")
    with pytest.raises(GuestError, match=said):
        block_device.attach(disk.device, tmp_path / "mysql")
    assert "mkfs.ext4" not in disk.ran
    assert "mount" not in disk.ran


def test_what_root_keeps_for_itself_is_not_offered(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As df has it: 98.25 % of the blocks taken and nothing left is a full volume."""
    figures = {"f_blocks": 10_000, "f_bfree": 175, "f_bavail": 0, "f_frsize": 1024**2}
    monkeypatch.setattr(os, "statvfs", lambda path: SimpleNamespace(**figures))
    usage = volume.usage(tmp_path)
    assert usage["used"] == usage["total"] > 0
    found = room.OnVolume(tmp_path).look()
    assert found is not None
    assert found.last
