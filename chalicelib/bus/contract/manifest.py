"""What a backup's objects are: written last by its guest, read by who checks or restores it."""

from __future__ import annotations

import base64
import hashlib
import re
from typing import Annotated, Final

import msgspec

from chalicelib.bus.contract.values import BackupId, Bytes, Name, Position, Sha256

VERSION: Final = 1
MOST_PARTS: Final = 500_000
"""Of 16 MiB: 7.6 TiB, compressed."""
MOST_BYTES: Final = 64 * 1024**2
"""Of a manifest."""
Md5 = Annotated[str, msgspec.Meta(pattern=r"^([0-9A-Za-z+/]{22}==)?$(?!\n)")]
_NUMBER: Final = re.compile(r"0|[1-9][0-9]{0,6}")
_MD5: Final = re.compile(r"[0-9a-f]{32}")
Attempt = Annotated[str, msgspec.Meta(pattern=r"^[0-9A-Za-z_-]{1,64}$(?!\n)")]


class StoredPart(msgspec.Struct, frozen=True):
    """One object, `<location>/<attempt>/<number>`: its bytes as they lie there, and their sums.

    The MD5 (base64) is what a list of the store tells of an object, its ETag, so that all parts are
    compared without a call for each; a guest of a former release says none.
    """

    size: Bytes
    sha256: Sha256
    md5: Md5 = ""

    def lies_as(self, size: int, etag: str) -> bool:
        """Whether that is what a list of the store tells of it."""
        told = base64.b64encode(bytes.fromhex(etag)).decode() if _MD5.fullmatch(etag) else ""
        return size == self.size and self.md5 in ("", told)


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

    def part(self, name: str) -> StoredPart | None:
        """The part whose object has that name in the attempt's folder."""
        known = _NUMBER.fullmatch(name) is not None and int(name) < len(self.parts)
        return self.parts[int(name)] if known else None


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
