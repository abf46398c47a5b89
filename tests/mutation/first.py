"""A plugin of pytest: the tests that run a mutant's line come first; none is left out."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import msgspec
import pytest

FIRST: Final = "first.json"
"""In the tree that is judged: the ids of these tests, in their order."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The rest stays behind them in the order that it had."""
    file = Path(FIRST)
    chosen = msgspec.json.decode(file.read_bytes(), type=list[str]) if file.exists() else []
    place = {name: number for number, name in enumerate(chosen)}
    items.sort(key=lambda item: place.get(item.nodeid, len(place)))
