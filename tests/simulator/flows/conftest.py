"""Fixtures of the flows' tests."""

from __future__ import annotations

import pytest

from tests.simulator.flows.flows import Flows


@pytest.fixture
def flows() -> Flows:
    """A small region at its virtual start."""
    return Flows()
