"""The kernel ends what would never end."""

from __future__ import annotations

import pytest

from simulator import kernel
from simulator.kernel import START, Deadlock, Kernel


def test_time_that_stands_still_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kernel, "MOST_AT_ONCE", 50)
    made = Kernel(1)

    def again() -> None:
        made.call_at(made.now, again)

    made.call_later(7.0, again)
    with pytest.raises(Deadlock, match=r"time stands still at 7\.000 s"):
        made.run(START + 60)


def test_many_events_of_different_moments_are_none_too_many(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(kernel, "MOST_AT_ONCE", 2)
    made = Kernel(1)

    def tick() -> None:
        made.call_later(0.5, tick)

    tick()
    made.run(START + 60)
    assert made.events == 120
