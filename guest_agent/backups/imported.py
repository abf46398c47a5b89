"""A backup that Trove has made: one object of its tenant's, read in ranges, and unpacked.

No manifest tells what is in it and nothing is sealed, so that other things are compared: with each
range Swift is asked for the object that was imported, and for no other (`If-Match`); all of it has
the ETag as its MD5, unless it is put together of segments; gzip has a sum and a length of its own.
It is bounded by what the volume has room for, however little was stored for it.
"""

from __future__ import annotations

import gzip
import hashlib
import io
import zlib
from collections.abc import Callable, Iterator
from typing import Final

from chalicelib import aws
from chalicelib.bus.contract.arguments import ImportedObject
from guest_agent.backups.beside import Beside
from guest_agent.backups.calls import Call, Calls, Send, Then
from guest_agent.backups.grant import ObjectGrant
from guest_agent.backups.store import PART_BYTES, Damaged, StoreFailed
from guest_agent.backups.swift import judged
from guest_agent.backups.writer import PROGRESS_SECONDS
from guest_agent.clock import ServiceClock
from guest_agent.enrolment import Reply
from guest_agent.manager import Progress

CHUNK_BYTES: Final = 1024**2
GZIP: Final = b"\x1f\x8b"
CHANGED: Final = "the object is not the one that was imported: somebody has changed it"
_PARTIAL, _OTHER, _BEYOND = 206, 412, 416


class ImportedStore(Calls[ObjectGrant]):
    """Ranges of one object, by URLs that are lent anew while they are needed."""

    def __init__(
        self,
        ask: Callable[[], ObjectGrant],
        clock: ServiceClock,
        stop: aws.Event,
        send: Send,
        grant: ObjectGrant,
    ) -> None:
        self._etag = ""
        super().__init__(ask, clock, stop, send, grant)

    def part(self, wanted: ImportedObject, start: int) -> bytes:
        """What it has from there on, as much as is asked for at once."""
        self._etag, end = wanted.etag, min(start + PART_BYTES, wanted.size)
        found = self.perform(Call("GET", f"bytes={start}-{end - 1}", b"", ""))
        if len(found) != end - start:
            raise Damaged(CHANGED)
        return found

    def put(self, key: str, body: bytes, sha256: str) -> None:
        """It is somebody else's."""
        raise StoreFailed("nothing is written beside a backup that was imported")

    def get(self, key: str, most: int) -> bytes:
        """It has no other objects."""
        raise StoreFailed(f"a backup that was imported has no {key}")

    def request(self, grant: ObjectGrant, call: Call) -> tuple[str, dict[str, str]]:
        return grant.object.url, {"Range": call.key, "If-Match": f'"{self._etag}"'}

    def judged(self, reply: Reply) -> tuple[Then, str]:
        if reply.status == _PARTIAL:
            return Then.DONE, ""
        if reply.status in (200, _OTHER, _BEYOND):
            return Then.END, f"answered {reply.status}, as {CHANGED},"
        return judged(reply)


class ImportReader:
    """The bytes that a tool has written, out of what was made of them; `most` of them at most."""

    def __init__(
        self, store: ImportedStore, wanted: ImportedObject, progress: Progress, most: int | None
    ) -> None:
        self._store, self._wanted, self._progress, self._most = store, wanted, progress, most

    def chunks(self) -> Iterator[bytes]:
        """In pieces of `CHUNK_BYTES` at most; `Damaged` where it is not what it should be."""
        source = _Source(self._parts())
        size = 0
        try:
            with self._unpacked(io.BufferedReader(source, CHUNK_BYTES)) as stream:
                while chunk := stream.read(CHUNK_BYTES):
                    size += len(chunk)
                    if self._most is not None and size > self._most:
                        raise Damaged(
                            "the backup is not unpacked: it has more data than the volume has room "
                            f"for ({self._most >> 20} MiB)"
                        )
                    yield chunk
        except (EOFError, zlib.error, gzip.BadGzipFile):
            raise Damaged("the backup is not unpacked: its compression is broken") from None

    def _unpacked(self, raw: io.BufferedReader) -> io.BufferedIOBase:
        return gzip.GzipFile(fileobj=raw) if raw.peek(len(GZIP))[:2] == GZIP else raw

    def _parts(self) -> Iterator[bytes]:
        """All of it, from its begin to its end; the next part is fetched meanwhile."""
        digest, start, told_at = hashlib.md5(usedforsecurity=False), 0, aws.monotonic()
        fetching = self._fetch(0)
        try:
            while start < self._wanted.size:
                part = fetching.result()
                digest.update(part)
                start += len(part)
                if start < self._wanted.size:
                    fetching = self._fetch(start)
                if aws.monotonic() - told_at >= PROGRESS_SECONDS:
                    told_at = aws.monotonic()
                    self._progress(f"{start} of {self._wanted.size} bytes read")
                yield part
        finally:
            fetching.wait()
        if not self._wanted.large and digest.hexdigest() != self._wanted.etag:
            raise Damaged(CHANGED)

    def _fetch(self, start: int) -> Beside[bytes]:
        return Beside(lambda: self._store.part(self._wanted, start), f"bytes from {start} on")


class _Source(io.RawIOBase):
    """Parts as a file that is read from its begin to its end."""

    def __init__(self, parts: Iterator[bytes]) -> None:
        self._parts, self._left = parts, memoryview(b"")

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: object) -> int:
        into = memoryview(buffer)  # type: ignore[arg-type]
        if not self._left:
            self._left = memoryview(next(self._parts, b""))
        size = min(len(into), len(self._left))
        into[:size], self._left = self._left[:size], self._left[size:]
        return size
