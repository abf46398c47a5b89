"""A piece of a log as it lies in the store: a header and the log's bytes, compressed and sealed.

    salt (16) │ AES-256-GCM( header as JSON, a line break, a zstd frame )

An agent that died may send a number again with something else in it: each piece has a key of its
own, of the archive's and a salt, so that no key and nonce are ever used twice. The header says
where in the log it begins and ends, and has the whole sum of the piece before.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from typing import Final

import msgspec
import zstandard

from chalicelib import aws
from chalicelib.bus.contract import pieces
from chalicelib.bus.contract.pieces import BEFORE_DIGITS, PieceName
from chalicelib.bus.contract.values import LogPosition, Position, Sha256
from guest_agent.backups.sealing import TAG_BYTES, Sealing
from guest_agent.backups.store import Damaged, Store, StoreFailed
from guest_agent.backups.writer import LEVEL

PURPOSE: Final = "coffer-log/1"
SALT_BYTES: Final = 16
CHUNK_BYTES: Final = 1024**2
MOST_HEADER: Final = 4096
"""Of its bytes."""
_LEFT: Final = pieces.MOST_BYTES - SALT_BYTES - TAG_BYTES


class Header(msgspec.Struct, frozen=True):
    """Where the log begins and ends that is in it, in the engine's words; and which position is
    sure with it, as customers name it. One that tells no moment of its own has that of its begin.
    """

    number: int
    before: Sha256
    start: Position
    end: Position
    from_ms: int
    until_ms: int
    until_position: LogPosition = ""


def key_of(location: str, name: PieceName) -> str:
    """Of the piece with that name."""
    return f"{location}/{name}"


def put(
    store: Store, archive_id: str, location: str, header: Header, chunks: Iterator[bytes]
) -> tuple[PieceName, int]:
    """Store a piece; its name, and its bytes there. Raises what `chunks` and the store do."""
    plain = bytearray(msgspec.json.encode(header) + b"\n")
    frame = zstandard.ZstdCompressor(level=LEVEL).compressobj()
    for chunk in chunks:
        plain += frame.compress(chunk)
        if len(plain) > _LEFT:
            raise StoreFailed(f"a piece of the log has more than {pieces.MOST_BYTES} bytes")
    plain += frame.flush()
    salt = aws.token_bytes(SALT_BYTES)
    sealing = Sealing(store.data_key(archive_id), archive_id, salt.hex(), PURPOSE)
    sealed = salt + sealing.seal(header.number, plain, last=False)
    sha256 = hashlib.sha256(sealed).hexdigest()
    name = PieceName(
        header.number, header.from_ms, header.until_ms, header.before[:BEFORE_DIGITS], sha256
    )
    store.put(key_of(location, name), sealed, sha256)
    return name, len(sealed)


def get(
    store: Store, archive_id: str, location: str, name: PieceName
) -> tuple[Header, Iterator[bytes]]:
    """A piece that was stored, checked; `Damaged` where it is not the one of that name."""
    sealed = store.get(key_of(location, name), pieces.MOST_BYTES)
    if hashlib.sha256(sealed).hexdigest() != name.sha256:
        raise _damaged(name, "is not what was written")
    salt = sealed[:SALT_BYTES]
    sealing = Sealing(store.data_key(archive_id), archive_id, salt.hex(), PURPOSE)
    try:
        plain = sealing.open(name.number, sealed[SALT_BYTES:], last=False)
        end = plain.index(b"\n", 0, MOST_HEADER)
        header = msgspec.json.decode(plain[:end], type=Header)
    except (ValueError, msgspec.DecodeError) as error:
        raise _damaged(name, f"cannot be opened: {error}") from None
    if header.number != name.number or not name.goes_on(header.before):
        raise _damaged(name, "is another one")
    return header, _chunks(name, memoryview(plain)[end + 1 :])


def _chunks(name: PieceName, compressed: memoryview) -> Iterator[bytes]:
    with zstandard.ZstdDecompressor().stream_reader(compressed) as stream:
        try:
            while chunk := stream.read(CHUNK_BYTES):
                yield chunk
        except zstandard.ZstdError:
            raise _damaged(name, "cannot be decompressed") from None


def _damaged(name: PieceName, why: str) -> Damaged:
    return Damaged(f"the log cannot be restored: piece {name.number} {why}")
