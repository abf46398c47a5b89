"""A server without a kernel of its own: the image's systemd as the first process of namespaces.

It starts in a second where QEMU without KVM takes many minutes, with the unit's sandbox as it is on
a server. What it has not: cloud-init, disks with a serial (the volume's link is put there), a power
that can be cut (all processes die at once instead), and a network but this machine's loopback.
"""

from __future__ import annotations

import ctypes
import os
import signal
import subprocess
from pathlib import Path
from types import TracebackType
from typing import Any, Final

from guest_agent.storage.device import SERIAL_CHARACTERS
from simulator.cloud import config_drive
from simulator.cloud.model.seams import GuestSpec
from tests.image.machine import DIES_WITH_US, run

CUT: Final = "all its processes died"
STATE_SECONDS: Final = 60
_CLONE_NEWNET: Final = 0x40000000
_IDLE: Final = ("systemd-networkd-wait-online", "systemd-remount-fs", "systemd-networkd")
"""Units for what a container has not."""
_ENTER: Final = """
set -eu
root=$1 disk=$2 volume=$3 link=$4 seed=$5
shift 5
mount --make-rprivate /
mount "$disk" "$root"
cp -r --preserve=mode "$seed/." "$root/"
mount -t proc proc "$root/proc"
mount -t sysfs -o ro sysfs "$root/sys"
mount -t cgroup2 cgroup2 "$root/sys/fs/cgroup"
mount -t tmpfs -o mode=755 tmpfs "$root/run"
mount -t tmpfs -o mode=755 tmpfs "$root/dev"
mkdir -p "$root/dev/pts" "$root/dev/shm" "$root/dev/disk/by-id"
mount -t tmpfs tmpfs "$root/dev/shm"
mount -t devpts -o newinstance,ptmxmode=0666 devpts "$root/dev/pts"
ln -s pts/ptmx "$root/dev/ptmx"
for device in null zero full random urandom tty "${volume#/dev/}"; do
    touch "$root/dev/$device"
    mount --bind "/dev/$device" "$root/dev/$device"
done
ln -s "$volume" "$root/dev/disk/by-id/virtio-$link"
exec env -i container=coffer PATH=/usr/sbin:/usr/bin:/sbin:/bin \
    chroot "$root" /lib/systemd/systemd "$@"
"""


def own_network(*, ipv6_only: bool) -> None:
    """Give this process, and what it starts from now on, a loopback of its own."""
    if ctypes.CDLL(None, use_errno=True).unshare(_CLONE_NEWNET) != 0:
        raise OSError(ctypes.get_errno(), "no network of its own")
    run("ip", "link", "set", "lo", "up")
    if ipv6_only:
        run("ip", "address", "delete", "127.0.0.1/8", "dev", "lo")


class Container:
    """One server; its disks stay when it is switched off."""

    def __init__(self, folder: Path, image: Path, spec: GuestSpec, files: list[Any]) -> None:
        self._folder = folder
        self._volume_id = spec.volumes[0].volume_id
        self._process: subprocess.Popen[bytes] | None = None
        for name in ("root", "seed"):
            (folder / name).mkdir(parents=True)
        run("qemu-img", "convert", "-O", "raw", image, folder / "root.raw")
        run("qemu-img", "create", "-q", "-f", "raw", folder / "volume.raw", "1G")
        config_drive.write(folder / "seed", spec)
        for file in files:
            target = folder / "seed" / file["path"].lstrip("/")
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_text(file["content"])
            target.chmod(int(file.get("permissions", "0644"), 8))
        self._disk = _loop("--offset", str(1024**2), folder / "root.raw")
        self._volume = _loop(folder / "volume.raw")

    def __enter__(self) -> Container:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.cut()
        run("losetup", "--detach", self._disk, self._volume)

    def switch_on(self) -> None:
        """Its first process begins."""
        namespaces = ("--mount", "--pid", "--fork", "--kill-child", "--uts", "--ipc", "--cgroup")
        link = self._volume_id[:SERIAL_CHARACTERS]
        seen = (self._folder / "root", self._disk, self._volume, link, self._folder / "seed")
        masked = (f"systemd.mask={name}.service" for name in _IDLE)
        self._process = subprocess.Popen(
            [
                *DIES_WITH_US,
                "unshare",
                *namespaces,
                "sh",
                "-c",
                _ENTER,
                "enter",
                *map(str, seen),
                *masked,
            ],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            start_new_session=True,
        )

    @property
    def runs(self) -> bool:
        """Whether its first process has not ended."""
        return self._process is not None and self._process.poll() is None

    def cut(self) -> None:
        """All its processes die."""
        if self._process is not None:
            for first in self._first():
                os.kill(first, signal.SIGKILL)
            self._process.wait()
            self._process = None

    def said(self) -> str:
        """Its journal."""
        for first in self._first():
            enter = ["nsenter", "--target", str(first), "--mount", "--pid", "--root", "journalctl"]
            return subprocess.run(
                [*enter, "--no-pager"],
                capture_output=True,
                text=True,
                timeout=STATE_SECONDS,
                check=False,
            ).stdout
        return ""

    def _first(self) -> list[int]:
        """The process that ends all others, if there is one."""
        if self._process is None:
            return []
        number = self._process.pid
        children = Path(f"/proc/{number}/task/{number}/children")
        return [int(each) for each in children.read_text().split()] if children.exists() else []


def _loop(*options: str | Path) -> str:
    command = ["losetup", "--find", "--show", *map(str, options)]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
