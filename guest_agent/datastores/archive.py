"""Files as one stream and back, as tar(1) knows it: for engines whose copies are whole files."""

from __future__ import annotations

import os
import tarfile
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Final

from guest_agent.datastores import processes, streams, tool
from guest_agent.datastores.os_user import OsUser
from guest_agent.errors import GuestError
from guest_agent.files import open_folder, open_plain

CHUNK_BYTES: Final = 1024**2


def of_file(folder: Path, name: str, inside: str) -> Iterator[bytes]:
    """A plain file of a folder, as long as it is now, by the name that it has `inside`.

    One that is replaced meanwhile goes on to be read. Raises `GuestError` when it is not there.
    """
    try:
        with open_folder(folder) as opened:
            descriptor = open_plain(opened, name, os.O_RDONLY)
    except OSError as error:
        raise GuestError(f"{name} cannot be read ({error.strerror})") from None
    with os.fdopen(descriptor, "rb", buffering=0) as stream:
        entry = tarfile.TarInfo(inside)
        entry.size, entry.mode = os.fstat(descriptor).st_size, 0o600
        yield entry.tobuf(tarfile.GNU_FORMAT)
        left = entry.size
        while left:
            chunk = stream.read(min(left, CHUNK_BYTES))
            if not chunk:
                raise GuestError(f"{name} has become shorter while it was read")
            left -= len(chunk)
            yield chunk
        yield bytes(-entry.size % tarfile.BLOCKSIZE)


def end() -> bytes:
    """What stands behind the last file."""
    return bytes(2 * tarfile.BLOCKSIZE)


def between(chunks: Iterable[bytes], more: Callable[[bytes], Iterable[bytes]]) -> Iterator[bytes]:
    """The files of a tar as they are, and between them whole ones that `more` gives, which is told
    the content of the first one once that was read. What stands behind the last one is left out.
    """
    header, left, first, ended = bytearray(), 0, bytearray(), False
    files = 0
    for chunk in chunks:
        rest = memoryview(chunk)
        while rest and not ended:
            if left:
                piece, rest, left = rest[:left], rest[left:], left - len(rest[:left])
                if files == 1 and len(first) < CHUNK_BYTES:
                    first += piece
                yield bytes(piece)
                continue
            wanted = tarfile.BLOCKSIZE - len(header)
            header, rest = header + rest[:wanted], rest[wanted:]
            if len(header) == tarfile.BLOCKSIZE:
                ended = not any(header)
                if not ended:
                    yield from more(bytes(first))
                    left, files = _padded(header), files + 1
                    yield bytes(header)
                header = bytearray()
    if not ended:
        raise GuestError("the copy ends in the middle of a file")


def _padded(header: bytearray) -> int:
    """The bytes of the file that begins there."""
    try:
        entry = tarfile.TarInfo.frombuf(header, "utf-8", "surrogateescape")
    except tarfile.HeaderError:
        raise GuestError("the copy holds something that is no file") from None
    size = entry.size if entry.isreg() else 0
    return size + -size % tarfile.BLOCKSIZE


def unpack(chunks: Iterable[bytes], folder: Path, user: OsUser) -> None:
    """Make files of a stream, as their user and in the folder alone."""
    command = [processes.program("tar"), "--extract", "--file=-", f"--directory={folder}"]
    command += ["--no-same-owner", "--delay-directory-restore"]
    tool.feed(command, user, streams.of_tar(chunks))
