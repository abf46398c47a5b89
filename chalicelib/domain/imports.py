"""Backups that somebody else has made: what is known of one, and what is not taken in.

It is one object of Swift, which may be a large one, in a container of its tenant's own: the plain
stream of an engine's tool, gzipped. Nothing of it is sealed, and no manifest tells what is in it.
So what is remembered is what its store says of it.
Source: Trove's `backup/storage/swift.py` and `backup/drivers`.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Final

import msgspec

from chalicelib import engines
from chalicelib.errors import BadRequest, NotSupported

MOST_OBJECT_NAME: Final = 1024
"""Bytes of an object's name, in Swift."""
ENCRYPTED: Final = ".enc"
"""How a backup ends that Trove has encrypted with its operator's password (until Victoria)."""
PARENT: Final = "x-object-meta-parent-location"
"""What Trove notes of an increment."""


class Imported(msgspec.Struct, frozen=True):
    """The object `key` of a container, as its store has it; its ETag is the MD5 of what is in it,
    unless it is a `large` one, which Swift puts together of segments."""

    key: str
    size: int
    etag: str
    large: bool = False

    @property
    def sha256(self) -> str:
        """Of all that is known of it: what a backup has as its checksum."""
        return hashlib.sha256(msgspec.json.encode(self)).hexdigest()


def known(kept: Mapping[str, object] | None) -> Imported | None:
    """What a row keeps of it."""
    return None if kept is None else msgspec.convert(kept, Imported)


def require_taken_in(manager: str, datastore: str) -> None:
    """`NotSupported` (501) for an engine whose guests make nothing of it."""
    if not engines.ENGINES[manager].imports:
        raise NotSupported(
            f"Backups that somebody else has made of the '{datastore}' datastore are not taken in; "
            "bring the data by a dump."
        )


def require_full(key: str, headers: Mapping[str, str]) -> None:
    """Refuse (400) an object that is not all of a backup, or that nobody here can read."""
    if key.endswith(ENCRYPTED):
        raise BadRequest(
            "That backup is encrypted with a password of its own deployment's: make another one "
            "there without 'backup_use_openssl_encryption', or restore it there and bring a dump."
        )
    if headers.get(PARENT):
        raise BadRequest(
            "That backup is an increment of another one: make a full backup, and import that."
        )
