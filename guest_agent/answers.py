"""How much one answer may hold: what a message, and the row that keeps it, have room for."""

from __future__ import annotations

import json
from typing import Any, Final, TypeVar

import msgspec

from guest_agent.errors import GuestError

ANSWER_BYTES: Final = 180_000
"""Of an answer as JSON in ASCII: sealing adds a third, and the bus takes 256 KiB."""
ROOM_BYTES: Final = 20_000  # for the names of the answer's parts, and for a marker

T = TypeVar("T")


def check_size(answer: dict[str, Any]) -> None:
    """`GuestError` for an answer that no message, or no row that keeps it, could hold."""
    size = _size_of(answer)
    if size > ANSWER_BYTES:
        raise GuestError(f"the answer is too large ({size} bytes); ask for less")


def fitting(rows: list[T]) -> list[T]:
    """As many of the first rows as one answer holds, with room for what stands around them."""
    left = ANSWER_BYTES - ROOM_BYTES
    for place, row in enumerate(rows):
        left -= _size_of(row) + 2  # what divides it from the next
        if left < 0:
            return rows[:place]
    return rows


def _size_of(answer: Any) -> int:
    """Bytes as JSON in ASCII: those in UTF-8 are not more."""
    return len(json.dumps(msgspec.to_builtins(answer)))
