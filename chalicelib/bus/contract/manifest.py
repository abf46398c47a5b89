"""What a backup's objects are: written last by its guest, read by who checks or restores it."""

from __future__ import annotations

import hashlib
from typing import Annotated, Final

import msgspec

from chalicelib.bus.contract.values import BackupId, Bytes, Name, Position, Sha256

VERSION: Final = 1
MOST_PARTS: Final = 500_000
"""Of 16 MiB: 7.6 TiB, compressed."""
MOST_BYTES: Final = 64 * 1024**2
"""Of a manifest."""
Attempt = Annotated[str, msgspec.Meta(pattern=r"^[0-9A-Za-z_-]{1,64}$(?!\n)")]


class StoredPart(msgspec.Struct, frozen=True):
    """One object, `<location>/<attempt>/<number>`: its bytes as they lie there, and their sum."""

    size: Bytes
    sha256: Sha256


class Manifest(msgspec.Struct, frozen=True):
    """A whole backup. `data_size` and `data_sha256` are of what came from the engine's tool, before
    it was compressed.

    Nothing in it has no bound, as a guest may have been broken into and who checks it has little
    memory: what is not named here is read past."""

    version: Annotated[int, msgspec.Meta(ge=1, le=VERSION)]
    backup_id: BackupId
    attempt: Attempt
    parts: Annotated[list[StoredPart], msgspec.Meta(min_length=1, max_length=MOST_PARTS)]
    data_size: Bytes
    data_sha256: Sha256
    engine_version: Name
    position: Position = ""

    @property
    def stored(self) -> int:
        """The bytes of its parts."""
        return sum(part.size for part in self.parts)


def key_of(location: str, checksum: str) -> str:
    """The key of a manifest, by its own SHA-256: an attempt that ends late overwrites none."""
    return f"{location}/manifest.{checksum}"


def place_in_container(location: str, attempt: str) -> str:
    """Where a manifest lies in a container: nothing is listed there, so that its place has to
    follow from what is known. No attempt is begun twice: none overwrites another's."""
    return f"{location}/{attempt}/manifest"


def opened(content: bytes, checksum: str) -> Manifest:
    """A manifest whose SHA-256 is known; `ValueError` for another one, or for one that is none."""
    if hashlib.sha256(content).hexdigest() != checksum:
        raise ValueError("its manifest is not the one that was written")
    try:
        return msgspec.json.decode(content, type=Manifest)
    except (msgspec.DecodeError, RecursionError) as error:
        raise ValueError(f"its manifest cannot be read ({error})") from None
