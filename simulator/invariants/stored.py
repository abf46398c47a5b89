"""What a backup's objects hold, read as who restores it reads them, past every service.

Apart from the invariants that ask for it; the guest's own reader is at work in each real restore.
"""

from __future__ import annotations

import json

import zstandard

from chalicelib.bus.contract import manifest
from chalicelib.conductor import data_keys
from chalicelib.conductor.data_keys import Kind, Owner
from guest_agent.backups.sealing import Sealing
from guest_agent.backups.store import part_key
from simulator.aws.dynamodb.values import Item
from simulator.region import Region
from simulator.template import BACKUPS_BUCKET


def content_of(region: Region, row: Item) -> bytes:
    """What was written, of a complete backup; `ValueError` where it cannot be read."""
    told = manifest.opened(_body(region, row, manifest_key(row)), row["checksum"])
    key = data_keys.opened(Owner(Kind.BACKUP, row["tenant_id"], row["id"]), row["sealed_key"])
    sealing = Sealing(key, row["id"], told.attempt)
    last = len(told.parts) - 1
    parts = [
        sealing.open(
            number,
            _body(region, row, part_key(row["location"], told.attempt, number)),
            last=number == last,
        )
        for number in range(last + 1)
    ]
    try:
        return b"".join(zstandard.ZstdDecompressor().decompressobj().decompress(p) for p in parts)
    except zstandard.ZstdError as error:
        raise ValueError(str(error)) from None


def body(region: Region, row: Item, key: str) -> bytes | None:
    """An object of a backup, where that lies; None when it is not there."""
    if "container_url" in row:
        return region.swift.body(f"{row['container_url']}/{key}")
    found = region.s3.buckets[BACKUPS_BUCKET].get(key)
    return found.body if found is not None else None


def manifest_key(row: Item) -> str:
    """Where the manifest of a complete backup lies."""
    if "container_url" not in row:
        return manifest.key_of(row["location"], row["checksum"])
    newest = json.loads(row["attempts"])[-1]["id"]
    return manifest.place_in_container(row["location"], newest)


def _body(region: Region, row: Item, key: str) -> bytes:
    found = body(region, row, key)
    if found is None:
        raise ValueError(f"{key} is not there")
    return found
