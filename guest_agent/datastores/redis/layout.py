"""Where Redis's files are on a guest, beside those that every engine has.

Its configuration is outside of the data directory, and nobody's but the agent's.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Final

from guest_agent.datastores import layout

ACL_FILE: Final = "users.acl"
"""Its accounts; made first, so that it tells a Redis's data directory too."""


@dataclass(frozen=True)
class Layout(layout.Layout):
    """What is outside of the volume follows from the server's flavor, and is written again."""

    @property
    def folder(self) -> Path:
        return self.root / "etc/coffer-redis"

    @property
    def config(self) -> Path:
        return self.folder / "coffer.conf"

    @property
    def layers(self) -> Path:
        return self.folder / "coffer.d"

    @property
    def error_log(self) -> Path:
        return self.root / "var/log/redis/coffer.log"
