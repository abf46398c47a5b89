"""Each invariant that can be reached is broken by a test; what nothing exercised is not passed."""

from __future__ import annotations

import logging
import re
from pathlib import Path

from simulator.invariants import REGISTRY
from tests.simulator.deployment import Deployment


def test_each_that_can_be_reached_has_a_test_that_breaks_it() -> None:
    texts = (path.read_text() for path in Path(__file__).parent.glob("test_*.py"))
    tested = {name for text in texts for name in re.findall(r'\btold_by\(\s*"(\w+)"', text)}
    reachable = {name for name, kind in REGISTRY.items() if not kind.unreachable}
    assert tested == reachable


def test_what_nothing_exercised_is_not_passed(deployment: Deployment) -> None:
    results = deployment.invariants.results()
    assert results["I1"].verdict == "holds"
    for name, kind in REGISTRY.items():
        if kind.unreachable:
            assert results[name].verdict == "not reached"
            assert results[name].reason == kind.unreachable


def test_the_loggers_are_given_back() -> None:
    before = [logging.getLogger(name).handlers for name in ("chalicelib", "functions")]
    Deployment().close()
    assert [logging.getLogger(name).handlers for name in ("chalicelib", "functions")] == before
