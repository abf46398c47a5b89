"""Where a database's files are on a guest, as paths below the server's root directory."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar


def below(root: Path, path: str) -> Path:
    """An absolute path of the guest, seen from the agent."""
    return root / path.lstrip("/")


@dataclass(frozen=True)
class Layout(ABC):
    """`volume` is the mount point; everything durable of the database is on it."""

    SUFFIX: ClassVar[str] = "conf"
    """Of the files that the engine reads in a folder of them."""

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
    def log_note(self) -> Path:
        """Up to where the log was archived; beside the log, which goes with the volume, too."""
        return self.volume / "log-archived.json"

    @property
    def restored(self) -> Path:
        """Where backups lie until they are the data directory."""
        return self.volume / "restored"

    @property
    def trial(self) -> Path:
        """Where a backup is tried out: nothing of it is needed afterwards."""
        return self.volume / "trial"

    @property
    @abstractmethod
    def layers(self) -> Path:
        """The folder of the settings that are not fixed; a later file's stand for an earlier's."""

    @property
    def flavor_layer(self) -> Path:
        """What we choose for the size of the server; it yields to whatever a customer chose."""
        return self.layers / f"10-flavor.{self.SUFFIX}"

    @property
    def group_layer(self) -> Path:
        """What a customer has chosen by a configuration group."""
        return self.layers / f"50-group.{self.SUFFIX}"

    @property
    def scratch(self) -> Path:
        """Temporary tables, on the volume because the root disk is small."""
        return self.volume / "tmp"


@dataclass(frozen=True)
class OwnFolder(Layout):
    """Of an engine whose configuration is in a folder that is nobody's but the agent's.

    What is outside of the volume follows from the server's flavor, and is written again.
    """

    NAME: ClassVar[str]
    """Of the engine."""

    @property
    def folder(self) -> Path:
        return self.root / f"etc/coffer-{self.NAME}"

    @property
    def config(self) -> Path:
        return self.folder / "coffer.conf"

    @property
    def layers(self) -> Path:
        return self.folder / "coffer.d"

    @property
    def error_log(self) -> Path:
        return self.root / f"var/log/{self.NAME}/coffer.log"
