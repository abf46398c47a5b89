"""A deployment with one active instance, for tests that break a promise on purpose."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.simulator.deployment import Deployment


@pytest.fixture
def deployment() -> Iterator[Deployment]:
    """One tenant with one instance that is ACTIVE and healthy."""
    made = Deployment()
    try:

        def create() -> None:
            made.create(made.tenant)
            made.wait()

        made.do(create)
        made.settle()
        made.invariants.check_healed()
        assert not made.invariants.violations, made.explain()
        yield made
    finally:
        made.close()
