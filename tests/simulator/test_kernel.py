"""The kernel ends what would never end, also what waits when nobody looks any more."""

from __future__ import annotations

import gc
import weakref
from functools import partial

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


@pytest.mark.parametrize("others", [[], [1.0], [2.5], [1.0, 2.5, 4.0]])
def test_a_sleep_ends_at_its_time_after_all_that_is_due_till_then(others: list[float]) -> None:
    """Alone or not: whoever sleeps alone need not give up control, and nobody can tell."""
    made, seen = Kernel(1), list[tuple[str, float, int]]()

    def note(who: str) -> None:
        seen.append((who, made.now - START, made.events))

    def sleeper() -> None:
        for seconds in (1.0, 0.0, 1.5, 1.5):
            made.sleep(seconds)
            note("sleeper")

    for at in others:
        made.call_later(at, note, "other")
    made.spawn(sleeper, "sleeper")
    made.run(START + 3)
    assert made.now == START + 3
    made.run(START + 5)
    due = [(at, 0) for at in others] + [(at, 1) for at in (1.0, 1.0, 2.5, 4.0)]
    expected = [("sleeper" if mine else "other", at) for at, mine in sorted(due)]
    assert seen == [(who, at, events) for events, (who, at) in enumerate(expected, start=2)]


def test_a_bound_on_events_holds_for_who_sleeps_alone() -> None:
    made = Kernel(1)

    def forever() -> None:
        while True:
            made.sleep(1.0)

    made.spawn(forever, "forever")
    with pytest.raises(Deadlock, match="more than 10 events"):
        made.run(START + 60, most_events=10)


class Kept:
    """Something of a world, in a frame that waits."""


def test_what_waits_keeps_nothing_after_the_end_of_its_world() -> None:
    made, kept, cleaned = Kernel(1), Kept(), list[str]()
    known = weakref.ref(kept)

    def wait(thing: Kept) -> None:
        try:
            made.suspend()
        finally:
            cleaned.append(type(thing).__name__)
            made.sleep(1.0)
            cleaned.append("slept")

    for name in ("waits", "is dead", "has not begun"):
        spawned = made.spawn(partial(wait, kept), name)
        if name != "has not begun":
            made.run(START + 1)
        if name == "is dead":
            made.kill(spawned)
    assert cleaned == []
    del kept, spawned
    made.close()
    gc.collect()
    assert known() is None
    assert cleaned == ["Kept", "Kept"], "cleaned up once each, and nothing waited in it"
