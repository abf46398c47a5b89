"""What stands in a stream is looked at before a tool makes files of it, as it passes by.

A backup comes from a guest that may have been broken into since. So nothing is unpacked but plain
files and folders, by names that stay below the folder they are unpacked to: no links, no devices,
no holes, for which a stream is small and its files are not.
"""

from __future__ import annotations

import tarfile
from collections.abc import Iterable, Iterator
from typing import Final, TypeAlias

from guest_agent.errors import GuestError

Chunk: TypeAlias = bytes | memoryview
BLOCK_BYTES: Final = tarfile.BLOCKSIZE
_ZEROS: Final = bytes(BLOCK_BYTES)
_PLAIN: Final = frozenset({tarfile.REGTYPE, tarfile.AREGTYPE})

MAGIC: Final = b"XBSTCK01"
"""Of a chunk of mbstream: then its flags, its kind, and the length of its name."""
_PAYLOAD, _LAST = b"P", b"E"
MOST_NAME_BYTES: Final = 511
MOST_CHUNK_BYTES: Final = 256 * 1024**2
"""mbstream holds one in memory; mariadb-backup writes 10 MiB."""


def of_tar(chunks: Iterable[bytes]) -> Iterator[Chunk]:
    """The same bytes; `GuestError` before what may not be unpacked."""
    passing = _Passing(chunks)
    while header := passing.take(BLOCK_BYTES):
        if header != _ZEROS:
            size = _size(header)
            yield header
            yield from passing.on(size + -size % BLOCK_BYTES)
        else:
            yield header


def of_mbstream(chunks: Iterable[bytes]) -> Iterator[Chunk]:
    """The same bytes; `GuestError` before what may not be unpacked."""
    passing = _Passing(chunks)
    while head := passing.take(len(MAGIC) + 6):
        kind, length = head[9:10], int.from_bytes(head[10:], "little")
        if head[:8] != MAGIC or kind not in (_PAYLOAD, _LAST) or length > MOST_NAME_BYTES:
            raise _strange("something that is no part of a file")
        name = passing.take(length)
        _require_below(name.decode(errors="replace"))
        yield head + name
        if kind == _PAYLOAD:
            sizes = passing.take(20)
            size = int.from_bytes(sizes[:8], "little")
            if size > MOST_CHUNK_BYTES:
                raise _strange("a part of a file that is too large")
            yield sizes
            yield from passing.on(size)


class _Passing:
    """Bytes in the pieces that they come in, of which some are read."""

    def __init__(self, chunks: Iterable[bytes]) -> None:
        self._chunks = iter(chunks)
        self._left = memoryview(b"")

    def take(self, size: int) -> bytes:
        """So many bytes; none at the end."""
        taken = b"".join(self._pieces(size))
        if taken and len(taken) < size:
            raise _cut()
        return taken

    def on(self, size: int) -> Iterator[memoryview]:
        """So many bytes, as they come."""
        for piece in self._pieces(size):
            size -= len(piece)
            yield piece
        if size:
            raise _cut()

    def _pieces(self, size: int) -> Iterator[memoryview]:
        while size:
            while not self._left:
                chunk = next(self._chunks, None)
                if chunk is None:
                    return
                self._left = memoryview(chunk)
            piece, self._left = self._left[:size], self._left[size:]
            size -= len(piece)
            yield piece


def _size(header: bytes) -> int:
    """Of the plain file that begins there; nothing of a folder."""
    try:
        entry = tarfile.TarInfo.frombuf(header, "utf-8", "surrogateescape")
    except tarfile.HeaderError:
        raise _strange("something that is no header of a file") from None
    plain, folder = entry.type in _PLAIN, entry.type == tarfile.DIRTYPE
    if entry.size < 0 or not (plain or (folder and not entry.size)):
        raise _strange("something that is neither a file nor a folder")
    _require_below(entry.name)
    return entry.size


def _require_below(name: str) -> None:
    if not name or name.startswith("/") or "\0" in name or ".." in name.split("/"):
        raise _strange("a name that leads out of its folder")


def _strange(what: str) -> GuestError:
    return GuestError(f"the backup is not unpacked: it holds {what}")


def _cut() -> GuestError:
    return GuestError("the backup is not unpacked: it ends in the middle of a file")
