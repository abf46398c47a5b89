"""Where a database's files are on a guest, as paths below the server's root directory."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


def below(root: Path, path: str) -> Path:
    """An absolute path of the guest, seen from the agent."""
    return root / path.lstrip("/")


@dataclass(frozen=True)
class Layout:
    """`volume` is the mount point; everything durable of the database is on it."""

    root: Path
    volume: Path

    @property
    def data(self) -> Path:
        """The data directory."""
        return self.volume / "data"

    @property
    def unfinished(self) -> Path:
        """The data directory until it is complete; renamed to `data` in one step."""
        return self.volume / "data.unfinished"

    @property
    def scratch(self) -> Path:
        """Temporary tables, on the volume because the root disk is small."""
        return self.volume / "tmp"
