"""A tenant's container in Swift, and which one a backup goes to."""

from __future__ import annotations

from typing import Final
from urllib.parse import unquote, urlsplit

import msgspec

VERSION: Final = "/v1/"
"""Swift's own, and where what is signed of a URL begins."""
DEFAULT: Final = "database_backups"
"""Trove's `backup_swift_container`."""
MOST_NAME: Final = 255
"""Characters of a name; Swift allows 256 bytes."""


class Container(msgspec.Struct, frozen=True):
    """A container by its URL (quoted, without a slash at the end), and the version of the ring that
    the key is made of which its temporary URLs are signed with."""

    url: str
    key: int

    @property
    def name(self) -> str:
        return unquote(self.url.rpartition("/")[2])

    @property
    def path(self) -> str:
        """From Swift's version on, as Swift signs it."""
        _, _, rest = unquote(urlsplit(self.url).path).partition(VERSION)
        return f"{VERSION}{rest}"
