"""Where PostgreSQL's files are on a guest, beside those that every engine has."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Final

from guest_agent.datastores.layout import OwnFolder

FULL_LAYER: Final = "99-full.conf"


@dataclass(frozen=True)
class Layout(OwnFolder):
    """Its configuration is outside of the data directory."""

    NAME: ClassVar = "postgresql"

    @property
    def full_layer(self) -> Path:
        """What stands for everything else while the volume is full."""
        return self.layers / FULL_LAYER

    @property
    def logins(self) -> Path:
        """Who may log in from where (pg_hba.conf)."""
        return self.folder / "hba.conf"

    @property
    def identities(self) -> Path:
        """Which operating system user is whom (pg_ident.conf)."""
        return self.folder / "ident.conf"
