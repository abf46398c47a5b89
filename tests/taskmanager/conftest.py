"""The control plane in one process, for what starts the flows."""

from __future__ import annotations

import pytest

from tests.support.stack import Stack
from tests.support.world import World


@pytest.fixture
def stack(world: World, monkeypatch: pytest.MonkeyPatch) -> Stack:
    """The control plane over a cloud in memory."""
    return Stack(world, monkeypatch)
