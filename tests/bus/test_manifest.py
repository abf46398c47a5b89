"""What a backup's guest writes last, as whoever checks it reads it."""

from __future__ import annotations

import hashlib
import tracemalloc

import msgspec
import pytest

from chalicelib.bus.contract.manifest import VERSION, Manifest, StoredPart, opened

SUM = "ab" * 32
MANY = 100_000


def test_a_guest_cannot_make_it_take_more_memory_than_it_has_bytes() -> None:
    """A stolen one: the function that checks it would end, again and again, with its operation."""
    plain = Manifest(
        version=VERSION,
        backup_id="8f2d1f0e-0d4c-4b57-9d39-0c1cbb1b6f0a",
        attempt="a",
        parts=[StoredPart(1, SUM)],
        data_size=1,
        data_sha256=SUM,
        engine_version="10.11.6",
    )
    more = {name: {str(number): "" for number in range(MANY)} for name in ("meta", "other")}
    content = msgspec.json.encode({**msgspec.to_builtins(plain), **more})
    checksum = hashlib.sha256(content).hexdigest()
    tracemalloc.start()
    try:
        assert opened(content, checksum) == plain
        assert tracemalloc.get_traced_memory()[1] < len(content)
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize(
    "content",
    [b'{"x":' + b"[" * 100_000, b'{"x": "\xff"}', b"[]", b""],
    ids=["too deep", "no text", "no object", "nothing"],
)
def test_whatever_a_guest_writes_is_one_or_none(content: bytes) -> None:
    with pytest.raises(ValueError, match="its manifest cannot be read"):
        opened(content, hashlib.sha256(content).hexdigest())
