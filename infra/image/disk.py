"""A disk that boots with the guest agent; `build-debian.sh` beside this does it."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Final

from infra.errors import PackageError

BUILDER: Final = "infra/image/build-debian.sh"
BUILD_SECONDS: Final = 3600.0
"""Debian's packages are fetched anew each time."""


def build(root: Path, bundle: Path, image: Path) -> None:
    """Build a Debian disk with a bundle; `PackageError` with the builder's last words."""
    command = [str(root / BUILDER), str(bundle), str(image)]
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=BUILD_SECONDS, check=False
        )
    except subprocess.TimeoutExpired:
        raise PackageError(
            f"the disk was not built within {BUILD_SECONDS:.0f} s", "MIRROR= names a nearer mirror."
        ) from None
    if done.returncode != 0:
        last_words = "\n".join(done.stderr.strip().splitlines()[-10:])
        raise PackageError(
            f"the disk could not be built:\n{last_words}",
            "It needs root, loop devices and Debian's debootstrap fdisk extlinux e2fsprogs "
            "qemu-utils. Or put the bundle into an image that you have: docs/guest-images.md.",
        )
