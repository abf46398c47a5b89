"""What a backup's objects hold, read as who restores it reads them, past every service.

Apart from the invariants that ask for it; the guest's own reader is at work in each real restore.
"""

from __future__ import annotations

import zstandard

from chalicelib import parameters
from chalicelib.bus import keys
from chalicelib.bus.contract import manifest
from chalicelib.conductor.storage import PURPOSE
from guest_agent.backups.sealing import Sealing
from guest_agent.backups.store import part_key
from simulator.aws.dynamodb.values import Item
from simulator.aws.s3 import Objects


def content_of(objects: Objects, row: Item) -> bytes:
    """What was written, of a complete backup; `ValueError` where it cannot be read."""
    told = manifest.opened(_body(objects, _manifest(row)), row["checksum"])
    key = keys.reveal(PURPOSE, row["id"], row["sealed_key"], parameters.BACKUP_KEYS)
    sealing = Sealing(key, row["id"], told.attempt)
    last = len(told.parts) - 1
    parts = [
        sealing.open(
            number,
            _body(objects, part_key(row["location"], told.attempt, number)),
            last=number == last,
        )
        for number in range(last + 1)
    ]
    try:
        return b"".join(zstandard.ZstdDecompressor().decompressobj().decompress(p) for p in parts)
    except zstandard.ZstdError as error:
        raise ValueError(str(error)) from None


def _manifest(row: Item) -> str:
    return manifest.key_of(row["location"], row["checksum"])


def _body(objects: Objects, key: str) -> bytes:
    found = objects.get(key)
    if found is None:
        raise ValueError(f"{key} is not there")
    return found.body
