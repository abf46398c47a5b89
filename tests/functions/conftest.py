"""The control plane in virtual time, for the flows."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.support.simulated import Stack


@pytest.fixture
def stack() -> Iterator[Stack]:
    """The control plane over a simulated cloud."""
    made = Stack()
    yield made
    made.close()
    assert made.interruptions == {}, "nobody was interrupted"
