"""A backup as a guest of Trove's has put it: one gzipped object, with that guest's own accounts."""

from __future__ import annotations

import gzip
import zlib
from typing import Final

import msgspec

from simulator.fleet.backups import Copy, copy_of, with_page
from simulator.fleet.datastore import NOTHING, Contents, User

ACCOUNT: Final = ("os_admin", "%")
"""What a guest of Trove's comes in by."""


def packed(contents: Contents) -> bytes:
    """The object, of what customers have."""
    theirs = contents.with_user(ACCOUNT, User("of-the-old-guest")).with_root("theirs")
    return gzip.compress(msgspec.json.encode(copy_of(theirs, None)), mtime=0)


def unpacked(body: bytes) -> Contents | None:
    """What customers have in an object; None of one that is no backup."""
    try:
        copy = msgspec.json.decode(gzip.decompress(body), type=Copy)
    except (OSError, EOFError, zlib.error, msgspec.DecodeError):
        return None
    contents = NOTHING
    for each in copy.pages:
        contents = with_page(contents, each)
    return contents.without_user(ACCOUNT).with_root(None)
