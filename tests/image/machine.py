"""A server as libvirt makes one: QEMU with a root disk, other disks, a config drive and a card."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path
from types import TracebackType
from typing import Final

from simulator.cloud import config_drive
from simulator.cloud.model.seams import GuestSpec

MEMORY_MIB: Final = 1024
CUT: Final = "a power cut"
DIES_WITH_US: Final = ("setpriv", "--pdeathsig", "KILL")
"""Before the command of a server: who tries it may be killed."""
BUSES: Final = {
    "virtio": "virtio-blk-pci,drive=volume,serial={id}",
    "scsi": "scsi-hd,drive=volume,serial={id}",
    "nvme": "nvme,drive=volume,serial={short}",
}
"""How each bus is told the volume's id; nvme takes no more than 20 characters."""


class Machine:
    """One server; its disks stay when it is switched off."""

    def __init__(
        self, folder: Path, image: Path, spec: GuestSpec, netdev: str, bus: str, accel: str
    ) -> None:
        self.folder = folder
        self.console = folder / "console"
        self.ephemeral = folder / "ephemeral.raw"
        self._spec = spec
        self._netdev = netdev
        self._bus = bus
        self._accel = accel
        self._process: subprocess.Popen[bytes] | None = None
        folder.mkdir(parents=True)
        run("qemu-img", "create", "-q", "-f", "qcow2", "-F", "qcow2", "-b", image, self._root)
        for disk in (self.ephemeral, self._volume):
            run("qemu-img", "create", "-q", "-f", "raw", disk, "1G")
        self._make_drive()

    def __enter__(self) -> Machine:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.cut()

    def switch_on(self) -> None:
        """Power on."""
        volume = BUSES[self._bus].format(
            id=self._spec.volumes[0].volume_id, short=self._spec.volumes[0].volume_id[:20]
        )
        drive = "if=none,format=raw"
        self._process = subprocess.Popen(
            [
                *(*DIES_WITH_US, "qemu-system-x86_64", "-m", str(MEMORY_MIB), "-display", "none"),
                *("-machine", f"pc,accel={self._accel}", "-cpu", "max", "-smp", "2"),
                *("-serial", f"file:{self.console}", "-monitor", "none", "-no-reboot"),
                *("-drive", f"file={self._root},if=none,id=root"),
                *("-device", "virtio-blk-pci,drive=root,bootindex=0"),
                *("-drive", f"file={self.ephemeral},if=virtio,format=raw"),
                *("-device", "virtio-scsi-pci"),
                *("-drive", f"file={self._volume},{drive},id=volume", "-device", volume),
                *("-drive", f"file={self._drive},media=cdrom,readonly=on"),
                *(
                    "-device",
                    f"virtio-net-pci,netdev=net,mac={self._spec.interfaces[0].mac_address}",
                ),
                *("-netdev", self._netdev),
                *("-device", "virtio-rng-pci"),
            ],
            stdin=subprocess.DEVNULL,
        )

    def said(self) -> str:
        """What its console shows."""
        return self.console.read_text(errors="replace")

    def require_blank_disk(self) -> None:
        """Nothing was written to the disk that is not the volume."""
        assert not any(self.ephemeral.read_bytes()), "the ephemeral disk was written to"

    @property
    def runs(self) -> bool:
        """Whether QEMU has not given up."""
        return self._process is not None and self._process.poll() is None

    def cut(self) -> None:
        """Power off, as by a cut."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    @property
    def _root(self) -> Path:
        return self.folder / "root.qcow2"

    @property
    def _volume(self) -> Path:
        return self.folder / "volume.raw"

    @property
    def _drive(self) -> Path:
        return self.folder / "config-drive.iso"

    def _make_drive(self) -> None:
        tree = self.folder / "tree"
        config_drive.write(tree, self._spec)
        label = ("-V", "config-2", "-R", "-J", "-l")
        run("genisoimage", "-quiet", *label, "-o", self._drive, tree / config_drive.FOLDER)
        shutil.rmtree(tree)


def run(*command: str | Path) -> None:
    """A command that has to succeed."""
    subprocess.run([str(word) for word in command], check=True)
