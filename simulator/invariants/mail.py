"""Opens what guests really sent, with keys of its own: the oracle of I8 and I9."""

from __future__ import annotations

import base64
from functools import lru_cache
from typing import Any

import msgspec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from chalicelib.bus.envelope import (
    KEY_BYTES,
    Direction,
    Envelope,
    EnvelopeError,
    Header,
    open_sealed,
)
from chalicelib.parameters import GUEST_KEYS
from simulator.region import Region
from simulator.services import SECRETS_PATH


class Mail:
    """Knows the master keys of a region; makes no call."""

    def __init__(self, region: Region) -> None:
        self._region = region
        self._key = lru_cache(maxsize=4096)(self._derive)

    def master_keys(self, ring: str) -> dict[str, str]:
        """The master keys of a ring as they are now: base64, by version."""
        name = f"{SECRETS_PATH}/{ring}"
        answer = self._region.ssm.get_parameter(Name=name, WithDecryption=True)
        document: dict[str, Any] = msgspec.json.decode(answer["Parameter"]["Value"])
        found: dict[str, str] = document["keys"]
        return found

    def opened(self, body: str, direction: Direction) -> Envelope | None:
        """The envelope in a body, None for what was not sealed with its guest's key."""

        def key_of(header: Header) -> bytes:
            guest = header.instance_id, header.generation
            return self._key(*guest, direction, header.key_version, header.epoch)

        try:
            return open_sealed(body, direction, key_of)
        except (EnvelopeError, KeyError):
            return None

    def _derive(
        self, instance_id: str, generation: int, way: Direction, version: int, epoch: int
    ) -> bytes:
        master = base64.b64decode(self.master_keys(GUEST_KEYS)[str(version)])
        info = f"coffer/1/guest/{instance_id}/{generation}/{way}/{epoch}".encode()
        return HKDF(SHA256(), KEY_BYTES, salt=None, info=info).derive(master)
