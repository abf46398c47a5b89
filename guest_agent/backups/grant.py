"""What the control plane lends for one backup: a place, credentials for it, and the data keys."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable
from typing import Final

import msgspec

from chalicelib import aws
from guest_agent.backups.store import PATIENCE_SECONDS, Cancelled, StoreFailed
from guest_agent.enrolment import Credentials, delay_before
from guest_agent.errors import Retired, Unauthorized, Unreachable

KEY_BYTES: Final = 32


class Grant(msgspec.Struct, frozen=True):
    """Without an `endpoint` the bucket is the region's own. `keys` are base64, by backup."""

    bucket: str
    region: str
    endpoint: str | None
    writes: bool
    credentials: Credentials
    keys: dict[str, str]

    def __repr__(self) -> str:
        return f"Grant(bucket={self.bucket!r}, writes={self.writes})"

    def key_of(self, backup_id: str) -> bytes:
        """The key of a backup; `StoreFailed` when it is not among those that were lent."""
        try:
            key = base64.b64decode(self.keys.get(backup_id, ""), validate=True)
        except binascii.Error:
            key = b""
        if len(key) != KEY_BYTES:
            raise StoreFailed(f"the control plane has lent no key for the backup {backup_id}")
        return key


def obtain(ask: Callable[[str], bytes], backup_id: str, stop: aws.Event) -> Grant:
    """Ask for a grant, as long as `PATIENCE_SECONDS` while the control plane cannot be reached.

    `ask` is `Enrolment.storage`. Raises `Cancelled` when no operation needs the backup now.
    """
    until = aws.monotonic() + PATIENCE_SECONDS
    attempt = 0
    while True:
        try:
            return msgspec.json.decode(ask(backup_id), type=Grant)
        except Retired:
            raise Cancelled("no operation of the instance needs this backup any more") from None
        except Unauthorized:
            raise StoreFailed("the control plane does not accept this guest's key") from None
        except msgspec.DecodeError:
            raise StoreFailed("what the control plane lends for a backup is not known") from None
        except Unreachable as error:
            pause = delay_before(attempt)
            if aws.monotonic() + pause >= until:
                raise StoreFailed(
                    f"nothing was lent for the backup within {PATIENCE_SECONDS:.0f} s: "
                    f"{str(error).rstrip('.')}"
                ) from None
        attempt += 1
        if aws.wait(stop, pause):
            raise Cancelled("the backup was cancelled")
