"""What stands in a stream is looked at before a tool makes files of it, as it passes by.

A backup comes from a guest that may have been broken into since. So nothing is unpacked but plain
files and folders, by names that stay below the folder they are unpacked to: no links, no devices,
no holes, for which a stream is small and its files are not.
"""

from __future__ import annotations

import tarfile
from collections.abc import Generator, Iterable, Iterator
from typing import Final, NamedTuple, TypeAlias

from guest_agent.errors import GuestError

BLOCK_BYTES: Final = tarfile.BLOCKSIZE
_ZEROS: Final = bytes(BLOCK_BYTES)
_PLAIN: Final = frozenset({tarfile.REGTYPE, tarfile.AREGTYPE})

MAGIC: Final = b"XBSTCK01"
"""Of a chunk of mbstream: then its flags, its kind, and the length of its name."""
_PAYLOAD, _LAST = b"P", b"E"
MOST_NAME_BYTES: Final = 511
MOST_CHUNK_BYTES: Final = 256 * 1024**2
"""mbstream holds one in memory; mariadb-backup writes 10 MiB."""


def of_tar(chunks: Iterable[bytes]) -> Iterator[bytes]:
    """The same bytes; `GuestError` before what may not be unpacked."""
    return _looked_at(chunks, _tar())


def of_mbstream(chunks: Iterable[bytes]) -> Iterator[bytes]:
    """The same bytes; `GuestError` before what may not be unpacked."""
    return _looked_at(chunks, _mbstream())


class _Read(NamedTuple):
    """So many bytes are read, or passed by; the stream may end before them."""

    size: int
    kept: bool = True
    may_end: bool = False


_Reader: TypeAlias = Generator[_Read, bytes, None]


def _tar() -> _Reader:
    while True:
        header = yield _Read(BLOCK_BYTES, may_end=True)
        if header != _ZEROS:
            size = _size(header)
            yield _Read(size + -size % BLOCK_BYTES, kept=False)


def _mbstream() -> _Reader:
    while True:
        head = yield _Read(len(MAGIC) + 6, may_end=True)
        kind, length = head[9:10], int.from_bytes(head[10:], "little")
        if head[:8] != MAGIC or kind not in (_PAYLOAD, _LAST) or length > MOST_NAME_BYTES:
            raise _strange("something that is no part of a file")
        name = yield _Read(length)
        _require_below(name.decode(errors="replace"))
        if kind == _PAYLOAD:
            sizes = yield _Read(20)
            size = int.from_bytes(sizes[:8], "little")
            if size > MOST_CHUNK_BYTES:
                raise _strange("a part of a file that is too large")
            yield _Read(size, kept=False)


def _looked_at(chunks: Iterable[bytes], reader: _Reader) -> Iterator[bytes]:
    """Each chunk as it came, once all that is whole in it was read: a tool waits for the rest of a
    header, and makes nothing of what it has."""
    wanted, have = next(reader), bytearray()
    left = wanted.size
    for chunk in chunks:
        rest = memoryview(chunk)
        while rest:
            piece, rest = rest[:left], rest[left:]
            left -= len(piece)
            if wanted.kept:
                have += piece
            while not left:
                wanted = reader.send(bytes(have))
                have, left = bytearray(), wanted.size
        yield chunk
    if not wanted.may_end or left < wanted.size:
        raise GuestError("the backup is not unpacked: it ends in the middle of a file")


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
