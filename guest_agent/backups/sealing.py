"""AES-256-GCM of a stream of parts, none of which can be left out, moved, cut off or exchanged.

The key is one for each attempt, made of the backup's; the nonce is the part's number and whether it
is the last (the STREAM construction of Hoang, Reyhanitabar, Rogaway and Vizár, 2015). No two parts
have the same of both, as an attempt is never begun twice.
"""

from __future__ import annotations

import hmac
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

TAG_BYTES: Final = 16
_NUMBER_BYTES: Final = 11


class Sealing:
    """Seals and opens the parts of one attempt of one backup, or a piece of a log."""

    def __init__(
        self, data_key: bytes, backup_id: str, attempt: str, kind: str = "coffer-backup/1"
    ) -> None:
        purpose = "\n".join([kind, backup_id, attempt])
        self._cipher = AESGCM(hmac.digest(data_key, purpose.encode(), "sha256"))

    def seal(self, number: int, plain: bytes | bytearray, *, last: bool) -> bytes:
        """The part as it lies in the store."""
        return self._cipher.encrypt(_nonce(number, last), plain, None)

    def open(self, number: int, sealed: bytes, *, last: bool) -> bytes:
        """What was sealed as that part; `ValueError` for anything else."""
        try:
            return self._cipher.decrypt(_nonce(number, last), sealed, None)
        except InvalidTag:
            raise ValueError("it was not sealed as this part of this backup") from None


def _nonce(number: int, last: bool) -> bytes:
    return number.to_bytes(_NUMBER_BYTES) + bytes([last])
