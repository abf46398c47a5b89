"""Nova's config drive: a small disk that is found by its label and mounted while it is read.

Nova makes it as ISO 9660 or as VFAT (`config_drive_format`). It holds the user data and so the
enrolment token: mounted for good it would show that to the database's user.
"""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Final

from guest_agent.errors import ConfigurationMissing, GuestError
from guest_agent.storage import tools

LABELS: Final = ("config-2", "CONFIG-2")
"""Some makers of VFAT write labels in capitals."""
MOUNT_SECONDS: Final = 30.0
OPTIONS: Final = "ro,nosuid,nodev,noexec"


def read(root: Path, path: str) -> bytes | None:
    """A document by its path on the drive; None without a drive, or without such a document."""
    device = _device(root)
    if device is None:
        return None
    with tempfile.TemporaryDirectory(prefix="coffer-config-drive-") as folder:  # 0700
        try:
            tools.run(["mount", "-o", OPTIONS, str(device), folder], MOUNT_SECONDS)
        except GuestError as error:
            raise ConfigurationMissing(f"the config drive cannot be read: {error}") from None
        try:
            return (Path(folder) / path).read_bytes()
        except OSError:
            return None
        finally:
            tools.run(["umount", folder], MOUNT_SECONDS)


def _device(root: Path) -> Path | None:
    links = [root / "dev/disk/by-label" / label for label in LABELS]
    return next((link for link in links if link.exists()), None)
