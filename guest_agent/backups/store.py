"""The object store as a backup uses it; `s3` is the real one, tests and the simulator have theirs.

StoreFailed     it did not take or give an object, for longer than it is waited for
├── Cancelled   nobody wants the backup any more: the operation is over
└── Damaged     what it gave is not what was written
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, Protocol, TypeAlias

from chalicelib import aws
from guest_agent.errors import GuestError

PATIENCE_SECONDS: Final = 300.0
"""How long one object is tried for: past a minute without the store, not past an hour of it."""
PART_BYTES: Final = 16 * 1024**2


class StoreFailed(GuestError):
    """An object could not be stored or fetched; why is a sentence's inside."""


class Cancelled(StoreFailed):
    """The operation that the backup belongs to has ended."""


class Damaged(StoreFailed):
    """What lies in the store is not what was written there."""


class Store(Protocol):
    """Objects by key. Both calls repeat themselves as long as that helps, and raise `StoreFailed`.

    What was put is there when the call returns, and may be when it raises.
    """

    def put(self, key: str, body: bytes, sha256: str) -> None:
        """Store an object whole; the store compares its SHA-256 (hex)."""

    def get(self, key: str, most: int) -> bytes:
        """An object of at most that many bytes."""

    def data_key(self, backup_id: str) -> bytes:
        """The 32 bytes that a backup's parts are sealed with."""


OpenStore: TypeAlias = Callable[[str, aws.Event], Store]
"""The store for one backup, made or restored; calls to it end with `Cancelled` once the event is
set."""


def part_key(location: str, attempt: str, number: int) -> str:
    """Of the part with that number, from 0."""
    return f"{location}/{attempt}/{number}"
