"""Where Redis's files are on a guest, beside those that every engine has."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Final

from guest_agent.datastores.layout import OwnFolder

ACL_FILE: Final = "users.acl"
"""Its accounts; made first, so that it tells a Redis's data directory too."""


@dataclass(frozen=True)
class Layout(OwnFolder):
    """Its configuration is outside of the data directory."""

    NAME: ClassVar = "redis"
