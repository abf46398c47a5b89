"""Fixtures of the guest agent's tests."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from chalicelib import aws
from tests.guest_agent.control_plane import ControlPlane
from tests.guest_agent.fakes import World


@pytest.fixture
def world() -> Iterator[World]:
    """Virtual time for one test."""
    made = World()
    previous = aws.install(made)
    yield made
    aws.install(previous)


@pytest.fixture
def control() -> Iterator[ControlPlane]:
    """A control plane of its own for one test."""
    made = ControlPlane()
    yield made
    made.close()
