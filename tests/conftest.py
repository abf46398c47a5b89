"""Fixtures for tests of the control plane in one process."""

from __future__ import annotations

from collections.abc import Iterator

import hypothesis
import pytest

from chalicelib import aws
from chalicelib.store.models import TABLES
from tests.support.world import ENVIRONMENT, World

# A slow machine is not a failure.
# The same examples in each run: a change is judged by what it changed. Seeds are the swarm's job.
hypothesis.settings.register_profile("coffer", deadline=None, derandomize=True)
hypothesis.settings.load_profile("coffer")


@pytest.fixture
def plain_world(monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    """Empty tables, empty queues, and a clock that stands still until it is moved."""
    for name, value in ENVIRONMENT.items():
        monkeypatch.setenv(name, value)
    made = World(TABLES)
    previous = aws.install(made)
    yield made
    aws.install(previous)


@pytest.fixture
def world(plain_world: World) -> World:
    """The same; `tests/store` puts moto in its place."""
    return plain_world
