"""Every flow with a fault at its k-th effect, for every k: it still ends whole.

An effect is a call that a function makes, of AWS or of the cloud. At each the process may be
killed right after it, its reply may be lost, or it may be refused. `make test-deep` strikes each
kind of call once, in the first scenario that makes it; `make test-crash` each call of each.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from chalicelib.store import instances
from tests.functions.scenarios import SCENARIOS, Scenario
from tests.support.simulated import Stack
from tests.support.strikes import Fault, Kinds, Strikes


@contextmanager
def prepared(scenario: Scenario) -> Iterator[tuple[Stack, str, set[str]]]:
    """The stack up to the hint, the instance, and how it may end."""
    stack = Stack()
    try:
        yield stack, *scenario(stack)
    finally:
        stack.close()


def ends_whole(stack: Stack, instance_id: str, allowed: set[str]) -> None:
    """Run to the end, and look at everything."""
    stack.settle()
    stack.check()
    row = instances.find_instance(instance_id)
    assert row is not None
    assert row.status in allowed, (row.status, row.fault_message)


@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda scenario: scenario.__name__)
def test_a_flow_ends_whole(scenario: Scenario) -> None:
    with prepared(scenario) as (stack, instance_id, allowed):
        ends_whole(stack, instance_id, allowed)


def hit(scenario: Scenario, fault: Fault, known: Kinds | None) -> int:
    """Run it with the fault in each place that is not known; how many there are."""
    with prepared(scenario) as (stack, instance_id, allowed):
        strikes = Strikes(stack, fault, known)
        strikes.run(lambda: ends_whole(stack, instance_id, allowed))
    assert not strikes.copies.failures, "\n\n".join(
        (scenario.__name__, *strikes.copies.failures[:3])
    )
    return strikes.copies.count


@pytest.mark.deep
@pytest.mark.long
@pytest.mark.timeout(1200)
@pytest.mark.parametrize("fault", Fault, ids=lambda fault: fault.name.lower())
def test_a_flow_ends_whole_wherever_it_was_hit(fault: Fault) -> None:
    known: Kinds = set()
    for scenario in SCENARIOS:
        hit(scenario, fault, known)
    assert len(known) > len(SCENARIOS), "each scenario has a step that no other one has"


@pytest.mark.crash
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("fault", Fault, ids=lambda fault: fault.name.lower())
@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda scenario: scenario.__name__)
def test_a_flow_ends_whole_whenever_it_was_hit(scenario: Scenario, fault: Fault) -> None:
    assert hit(scenario, fault, None) >= 7, "the shortest flow has so many"
