"""Small volumes that are really full: file systems in memory, which only root can mount."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import pytest

MIB: Final = 1024**2
needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root mounts file systems")


@contextmanager
def small(folder: Path, mib: int) -> Iterator[Path]:
    """Mount a file system of so many MiB on a folder."""
    options = f"size={mib}m,mode=755"
    subprocess.run(["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(folder)], check=True)
    try:
        yield folder
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


def resize(folder: Path, mib: int) -> None:
    """Let it have so many MiB, as after a resize of the volume."""
    subprocess.run(["mount", "-o", f"remount,size={mib}m", str(folder)], check=True)


def fill(folder: Path, leave: int = 0, inside: str = "data") -> Path:
    """Take all that is free but so many bytes, as files of somebody else's would."""
    figures = os.statvfs(folder)
    size = figures.f_bavail * figures.f_frsize - leave
    path = folder / inside / "filler"
    with path.open("wb") as stream:
        os.posix_fallocate(stream.fileno(), 0, max(size, 1))
    return path
