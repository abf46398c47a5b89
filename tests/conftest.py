"""Fixtures for tests of the control plane in one process."""

from __future__ import annotations

import gc
from collections.abc import Iterator

import hypothesis
import pytest

from tests.support.bare import World, fresh

# A slow machine is not a failure.
# The same examples in each run: a change is judged by what it changed. Seeds are the swarm's job.
hypothesis.settings.register_profile("coffer", deadline=None, derandomize=True)
hypothesis.settings.load_profile("coffer")

gc.disable()  # until all is loaded: what loading makes stays, and each look would go through it

GARBAGE = 50_000
"""Objects between two looks for cycles. A look after each 700 takes a tenth of a simulated run."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """What takes long begins first: no worker is left alone with it at the end."""
    items.sort(key=lambda item: item.get_closest_marker("long") is None)


def pytest_collection_finish() -> None:
    """What is loaded now stays: no collection looks through it in each run and each fork of one."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(GARBAGE, 20, 100)
    gc.enable()


@pytest.fixture
def plain_world() -> Iterator[World]:
    """Empty tables, empty queues, and a clock that stands still until it is moved."""
    with fresh() as made:
        yield made


@pytest.fixture
def world(plain_world: World) -> World:
    """The same; `tests/store` puts moto in its place."""
    return plain_world
