"""From a backup in the store to the bytes that were written, each of them checked on the way.

A part is given to the caller before the whole is known to be right: what is made of the bytes is
good only when their end was reached.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from typing import Final

import zstandard

from chalicelib import aws
from chalicelib.bus.contract import manifest
from chalicelib.bus.contract.arguments import StoredBackup
from chalicelib.bus.contract.manifest import Manifest
from guest_agent.backups.beside import Beside
from guest_agent.backups.sealing import Sealing
from guest_agent.backups.store import Damaged, Store, part_key
from guest_agent.backups.writer import PROGRESS_SECONDS
from guest_agent.manager import Progress

CHUNK_BYTES: Final = 1024**2


class Reader:
    """One backup. Its manifest is read, and compared with the sum that the caller was told."""

    def __init__(
        self, store: Store, backup: StoredBackup, progress: Progress, bandwidth: int = 0
    ) -> None:
        self._store, self._backup, self._progress = store, backup, progress
        self._bandwidth = bandwidth
        content = store.get(manifest.key_of(backup.location, backup.checksum), manifest.MOST_BYTES)
        try:
            self.manifest: Manifest = manifest.opened(content, backup.checksum)
        except ValueError as error:
            raise self._damaged(str(error)) from None
        if self.manifest.backup_id != backup.id:
            raise self._damaged("its manifest is another backup's")
        attempt = self.manifest.attempt
        self._sealing = Sealing(store.data_key(backup.id), backup.id, attempt)

    def chunks(self) -> Iterator[bytes]:
        """What was written, in pieces of `CHUNK_BYTES` at most; `Damaged` where it is not.

        It is never more than the manifest says, however little was stored for it.
        """
        digest, size, told_at = hashlib.sha256(), 0, aws.monotonic()
        decompressor = zstandard.ZstdDecompressor()
        for number, plain in self._parts():
            with decompressor.stream_reader(plain) as stream:
                while chunk := self._next(stream, number):
                    digest.update(chunk)
                    size += len(chunk)
                    if size > self.manifest.data_size:
                        raise self._damaged("it has more data than was written")
                    yield chunk
            if aws.monotonic() - told_at >= PROGRESS_SECONDS:
                told_at = aws.monotonic()
                self._progress(f"{size} of {self.manifest.data_size} bytes read")
        if (size, digest.hexdigest()) != (self.manifest.data_size, self.manifest.data_sha256):
            raise self._damaged("its data is not what was written")

    def _parts(self) -> Iterator[tuple[int, bytes]]:
        """Each part, opened, with its number; the next one is fetched meanwhile."""
        last = len(self.manifest.parts) - 1
        began_at, fetched = aws.monotonic(), 0
        fetching = self._fetch(0)
        try:
            for number in range(last + 1):
                sealed = fetching.result()
                fetched += len(sealed)
                if self._bandwidth:
                    due = began_at + fetched / self._bandwidth
                    aws.sleep(max(due - aws.monotonic(), 0.0))
                if number < last:
                    fetching = self._fetch(number + 1)
                yield number, self._opened(number, sealed, last=number == last)
        finally:
            fetching.wait()

    def _fetch(self, number: int) -> Beside[bytes]:
        key = part_key(self._backup.location, self.manifest.attempt, number)
        size = self.manifest.parts[number].size
        return Beside(lambda: self._store.get(key, size), f"part {number}")

    def _opened(self, number: int, sealed: bytes, *, last: bool) -> bytes:
        expected = self.manifest.parts[number]
        if len(sealed) != expected.size or hashlib.sha256(sealed).hexdigest() != expected.sha256:
            raise self._damaged(f"part {number} is not what was written ({len(sealed)} bytes)")
        try:
            return self._sealing.open(number, sealed, last=last)
        except ValueError as error:
            raise self._damaged(f"part {number} cannot be opened: {error}") from None

    def _next(self, stream: zstandard.ZstdDecompressionReader, number: int) -> bytes:
        try:
            return stream.read(CHUNK_BYTES)
        except zstandard.ZstdError:
            raise self._damaged(f"part {number} cannot be decompressed") from None

    def _damaged(self, why: str) -> Damaged:
        return Damaged(f"the backup {self._backup.id} cannot be restored: {why}")
