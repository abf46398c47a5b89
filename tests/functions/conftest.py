"""The control plane in virtual time, for the flows."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from tests.support.simulated import Stack

OLD = {
    "test_every_crash",
}
"""Modules that are not on the simulator yet."""


@pytest.fixture
def stack(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """The control plane over a simulated cloud."""
    if request.module.__name__.rpartition(".")[2] in OLD:
        from chalicelib import aws
        from chalicelib.store.models import TABLES
        from tests.support.stack import Stack as Old
        from tests.support.world import ENVIRONMENT, World

        for name, value in ENVIRONMENT.items():
            monkeypatch.setenv(name, value)
        world = World(TABLES)
        previous = aws.install(world)
        yield Old(world, monkeypatch)
        aws.install(previous)
        return
    made = Stack()
    yield made
    made.close()
    assert made.interruptions == {}, "nobody was interrupted"
