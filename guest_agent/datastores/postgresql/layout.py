"""Where PostgreSQL's files are on a guest, beside those that every engine has.

Its configuration is outside of the data directory, and nobody's but the agent's.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Final

from guest_agent.datastores import layout

FULL_LAYER: Final = "99-full.conf"


@dataclass(frozen=True)
class Layout(layout.Layout):
    """What is outside of the volume follows from the server's flavor, and is written again."""

    @property
    def folder(self) -> Path:
        return self.root / "etc/coffer-postgresql"

    @property
    def config(self) -> Path:
        return self.folder / "coffer.conf"

    @property
    def layers(self) -> Path:
        return self.folder / "coffer.d"

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

    @property
    def error_log(self) -> Path:
        return self.root / "var/log/postgresql/coffer.log"
