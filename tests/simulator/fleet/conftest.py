"""Fixtures of the fleet's tests."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from chalicelib import aws
from tests.simulator.fleet.world import World


@pytest.fixture
def world() -> Iterator[World]:
    """A fleet in a world of its own."""
    made = World()
    previous = aws.install(made.provider)
    yield made
    aws.install(previous)
    assert made.fleet.broken == []
