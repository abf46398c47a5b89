"""L9, broken on purpose, is told."""

from __future__ import annotations

from typing import Any

from tests.simulator.deployment import Deployment


def test_two_traces_that_differ_break_l9(deployment: Deployment) -> None:
    invariant: Any = deployment.invariants.each["L9"]
    invariant.compare("a", "a")
    assert invariant.verdict == "holds"
    invariant.compare("a", "b")
    assert invariant.verdict == "broken"
