"""Volumes: found, attached once, never formatted when anything is on them."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from guest_agent.errors import GuestError
from guest_agent.storage import block_device, directory, volume


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


def test_a_volume_that_does_not_come_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(volume, "APPEAR_SECONDS", 0.1)
    with pytest.raises(GuestError, match="did not appear"):
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
        self.ran: list[str] = []
        self.device = folder / "vdb"
        self.mounts = folder / "mounts"
        self.mounts.write_text("proc /proc proc rw 0 0\n")

    def run(self, command: list[str], seconds: float) -> subprocess.CompletedProcess[str]:
        self.ran.append(command[0])
        code, output = 0, ""
        match command[0]:
            case "blkid" if "-p" in command:
                code = 8 if self.probe_fails else 0 if self.content else 2
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
    monkeypatch.setattr(block_device, "_command", made.run)
    monkeypatch.setattr(block_device, "_MOUNTS", made.mounts)
    monkeypatch.setattr(block_device, "_FSTAB", tmp_path / "fstab")
    return made


def test_a_blank_disk_is_formatted_once(disk: Disk, tmp_path: Path) -> None:
    (tmp_path / "fstab").write_text("UUID=root / ext4 defaults 0 1\n")
    for _ in range(3):
        block_device.attach(disk.device, tmp_path / "mysql")
    assert disk.ran.count("mkfs.ext4") == disk.ran.count("mount") == 1
    assert (tmp_path / "fstab").read_text().splitlines() == [
        "UUID=root / ext4 defaults 0 1",
        f"UUID=1234-UUID {tmp_path}/mysql ext4 noatime,nofail 0 2",
    ]


@pytest.mark.parametrize("content", ["ext4", "xfs", "a partition table"])
def test_a_disk_with_content_is_never_formatted(disk: Disk, tmp_path: Path, content: str) -> None:
    disk.content = content
    block_device.attach(disk.device, tmp_path / "mysql")
    assert "mkfs.ext4" not in disk.ran


def test_a_disk_that_cannot_be_probed_is_left_alone(disk: Disk, tmp_path: Path) -> None:
    disk.probe_fails = True
    with pytest.raises(GuestError, match="left alone: ambivalent"):
        block_device.attach(disk.device, tmp_path / "mysql")
    assert disk.ran == ["blkid"]


def test_another_disk_at_the_mount_point_is_not_covered(disk: Disk, tmp_path: Path) -> None:
    disk.mounts.write_text(f"/dev/other {tmp_path}/mysql ext4 rw 0 0\n")
    with pytest.raises(GuestError, match="holds another volume"):
        block_device.attach(disk.device, tmp_path / "mysql")


def test_a_tool_that_is_missing_is_named(tmp_path: Path) -> None:
    with pytest.raises(GuestError, match="no-such-tool is not installed"):
        block_device._run(["no-such-tool"], 1.0)
