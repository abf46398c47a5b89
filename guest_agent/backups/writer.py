"""From the bytes of an engine's tool to a backup in the store.

    chunk ──▶ zstd ──▶ a part is full ──▶ sealed, summed, PUT, while the next part is filled
                                                  └── the manifest, when the tool has ended

Each part is a zstd frame of its own, so that it can be read without those before it.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterable
from typing import Final

import msgspec
import zstandard

from chalicelib import aws
from chalicelib.bus.contract.answers import BackedUp
from chalicelib.bus.contract.manifest import MOST_PARTS, VERSION, Manifest, StoredPart, key_of
from guest_agent.backups.beside import Beside
from guest_agent.backups.sealing import Sealing
from guest_agent.backups.store import (
    PART_BYTES,
    Cancelled,
    Store,
    StoreFailed,
    part_key,
)
from guest_agent.errors import BadRequest
from guest_agent.manager import Progress

LEVEL: Final = 3
"""zstd's own choice: about the speed of a disk on one core."""
PROGRESS_SECONDS: Final = 5.0
LEAST_BANDWIDTH: Final = 64 * 1024
"""Bytes a second: a part then takes four minutes, and a pause as long."""
ATTEMPT_BYTES: Final = 16


class Writer:
    """One attempt at one backup. `write` once, then `finish`, with what is known at the end."""

    def __init__(
        self,
        store: Store,
        backup_id: str,
        location: str,
        progress: Progress,
        bandwidth: int = 0,
        stop: aws.Event | None = None,
    ) -> None:
        """`stop` is set when nobody wants it any more; `bandwidth` in bytes a second, 0 for all."""
        if bandwidth and bandwidth < LEAST_BANDWIDTH:
            raise BadRequest(f"a backup is sent with at least {LEAST_BANDWIDTH} bytes a second")
        self._store, self._backup_id, self._location = store, backup_id, location
        self._attempt = aws.token_bytes(ATTEMPT_BYTES).hex()
        self._sealing = Sealing(store.data_key(backup_id), backup_id, self._attempt)
        self._progress, self._bandwidth = progress, bandwidth
        self._stop = stop or aws.event()
        self._data, self._data_size = hashlib.sha256(), 0
        self._parts: list[StoredPart] = []
        self._sent = 0
        self._sending: Beside[StoredPart] | None = None
        self._told_at = self._began_at = aws.monotonic()

    def write(self, source: Iterable[bytes]) -> None:
        """Send all of it. Whatever ends it, nothing is on its way any more when it returns."""
        try:
            self._fill(source)
            self._wait()
        finally:
            if self._sending is not None:
                self._sending.wait()

    def finish(self, *, engine_version: str, position: str = "") -> BackedUp:
        """Make what was sent a backup, by its manifest; the answer of the command."""
        manifest = Manifest(
            version=VERSION,
            backup_id=self._backup_id,
            attempt=self._attempt,
            parts=self._parts,
            data_size=self._data_size,
            data_sha256=self._data.hexdigest(),
            engine_version=engine_version,
            position=position,
        )
        content = msgspec.json.encode(manifest)
        checksum = hashlib.sha256(content).hexdigest()
        self._store.put(key_of(self._location, checksum), content, checksum)
        return BackedUp(
            checksum=checksum,
            size=manifest.stored,
            data_size=self._data_size,
            version=engine_version,
            position=position,
        )

    def _fill(self, source: Iterable[bytes]) -> None:
        compressor = zstandard.ZstdCompressor(level=LEVEL)
        frame, part = compressor.compressobj(), bytearray()
        for chunk in source:
            if len(part) >= PART_BYTES:
                part += frame.flush()
                self._send(part, last=False)
                frame, part = compressor.compressobj(), bytearray()
            self._data.update(chunk)
            self._data_size += len(chunk)
            part += frame.compress(chunk)
            self._tell()
        part += frame.flush()
        self._send(part, last=True)

    def _send(self, part: bytearray, *, last: bool) -> None:
        """Begin to seal and send it, once the one before has arrived."""
        self._wait()
        number = len(self._parts)
        if number >= MOST_PARTS:
            raise StoreFailed(f"the backup has more than {MOST_PARTS} parts")
        self._pause()
        self._sending = Beside(lambda: self._put(number, part, last=last), f"part {number}")

    def _put(self, number: int, part: bytearray, *, last: bool) -> StoredPart:
        """Send it, beside who fills the next one; what is in the store then."""
        sealed = self._sealing.seal(number, part, last=last)
        part.clear()  # it would be held twice until it has arrived
        md5 = hashlib.md5(sealed, usedforsecurity=False).digest()
        stored = StoredPart(
            size=len(sealed),
            sha256=hashlib.sha256(sealed).hexdigest(),
            md5=base64.b64encode(md5).decode(),
        )
        key = part_key(self._location, self._attempt, number)
        self._store.put(key, sealed, stored.sha256)
        return stored

    def _wait(self) -> None:
        """Until the part that is on its way has arrived; raises why it did not."""
        if self._sending is not None:
            sending, self._sending = self._sending, None
            self._parts.append(sending.result())
            self._sent += self._parts[-1].size

    def _pause(self) -> None:
        """Let what was sent have taken the time that the bandwidth gives it."""
        if self._bandwidth:
            due = self._began_at + self._sent / self._bandwidth
            if aws.wait(self._stop, max(due - aws.monotonic(), 0.0)):
                raise Cancelled("the backup was cancelled")

    def _tell(self) -> None:
        now = aws.monotonic()
        if now - self._told_at >= PROGRESS_SECONDS:
            self._told_at = now
            self._progress(f"{self._data_size} bytes read, {self._sent} sent")
