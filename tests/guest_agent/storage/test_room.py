"""How large a volume is that a file system lies on."""

from __future__ import annotations

import os
from pathlib import Path
from types import SimpleNamespace

import pytest

from guest_agent.storage import room


@pytest.mark.parametrize(("gib", "share"), [(1, 0.95), (3, 0.97), (16, 0.976), (100, 1.0)])
def test_its_size_is_what_was_asked_for(
    monkeypatch: pytest.MonkeyPatch, gib: int, share: float
) -> None:
    """What ext4 keeps for itself is none of the database's, and still of the volume."""
    blocks = int(gib * room.GIB * share) // 4096
    monkeypatch.setattr(os, "statvfs", lambda _: SimpleNamespace(f_blocks=blocks, f_frsize=4096))
    assert room.size_gib(Path("/var/lib/mysql")) == gib


def test_without_one_it_is_the_smallest(tmp_path: Path) -> None:
    assert room.size_gib(tmp_path / "none") == 1
