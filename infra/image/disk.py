"""A disk that boots with the guest agent; `build-debian.sh` beside this does it."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from infra import commands

BUILDER: Final = "infra/image/build-debian.sh"
BUILD_SECONDS: Final = 3600.0
"""Debian's packages are fetched anew each time."""


def build(root: Path, bundle: Path, image: Path) -> None:
    """Build a Debian disk with a bundle; `PackageError` with the builder's last words."""
    command = [str(root / BUILDER), str(bundle), str(image)]
    commands.run(
        command,
        "The disk could not be built",
        "It needs root, loop devices and Debian's debootstrap fdisk extlinux e2fsprogs qemu-utils, "
        "and time: MIRROR= names a nearer mirror. Or put the bundle into an image that you have: "
        "docs/guest-images.md.",
        seconds=BUILD_SECONDS,
    )
