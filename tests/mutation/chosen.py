"""A plugin of pytest: only the tests that were chosen, in that order."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import msgspec
import pytest

CHOSEN: Final = "chosen.json"
"""In the tree that is judged: the ids of these tests, in their order."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Whoever is not among them is left out."""
    names = msgspec.json.decode(Path(CHOSEN).read_bytes(), type=list[str])
    place = {name: number for number, name in enumerate(names)}
    items[:] = sorted(
        (item for item in items if item.nodeid in place), key=lambda item: place[item.nodeid]
    )
