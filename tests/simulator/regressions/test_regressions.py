"""Plans that once broke a promise or met an error, replayed. A file is named for what was wrong."""

from __future__ import annotations

from pathlib import Path

import pytest

from simulator.plan import read
from simulator.run import Run

PLANS = sorted(Path(__file__).parent.glob("*.json"))


@pytest.mark.deep
@pytest.mark.parametrize("path", PLANS, ids=lambda path: path.stem)
def test_what_once_broke_holds(path: Path) -> None:
    result = Run(read(path)).execute()
    assert [each.text for each in result.errors] == []
    assert result.broken() == [], [
        f"{name}: {each.text}"
        for name, invariant in result.invariants.items()
        for each in invariant.violations
    ]
