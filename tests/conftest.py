"""Fixtures for tests of the control plane in one process."""

from __future__ import annotations

from collections.abc import Iterator

import hypothesis
import pytest

from chalicelib import aws
from chalicelib.bus import keys
from chalicelib.settings import settings
from chalicelib.store.models import TABLES
from tests.support.world import ENVIRONMENT, World

# A slow machine is not a failure.
# The same examples in each run: a change is judged by what it changed. Seeds are the swarm's job.
hypothesis.settings.register_profile("coffer", deadline=None, derandomize=True)
hypothesis.settings.load_profile("coffer")


def forget_caches() -> None:
    """What a process remembers: settings and keys."""
    settings.cache_clear()
    keys.secrets.cache_clear()
    keys.guest_key.cache_clear()
    keys._own_key.cache_clear()


@pytest.fixture
def plain_world(monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    """Empty tables, empty queues, and a clock that stands still until it is moved."""
    for name, value in ENVIRONMENT.items():
        monkeypatch.setenv(name, value)
    forget_caches()
    made = World(TABLES)
    previous = aws.install(made)
    yield made
    aws.install(previous)
    forget_caches()


@pytest.fixture
def world(plain_world: World) -> World:
    """The same; `tests/store` puts moto in its place."""
    return plain_world
