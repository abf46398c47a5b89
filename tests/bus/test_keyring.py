"""A ring of keys is rotated in its order: distribute, use, retire; no step is taken too early."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chalicelib.bus import keyring
from chalicelib.bus.keyring import (
    DISTRIBUTE_SECONDS,
    MOST_VERSIONS,
    RETAIN_SECONDS,
    KeyRing,
    TooEarly,
)
from chalicelib.parameters import REFRESH_SECONDS
from simulator import template
from simulator.region import API_TIMEOUT_SECONDS

NOW = 1_800_000_000.0
moves = st.sampled_from(["new", "use", "retire"])
FIRST = keyring.first(bytes(32), NOW)


def key(number: int) -> bytes:
    return bytes([number]) * 32


def test_a_new_version_is_not_used_at_once() -> None:
    ring = FIRST.with_new(key(2), NOW)
    assert (ring.current, ring.newest) == (1, 2)
    with pytest.raises(TooEarly) as early:
        ring.with_newest_in_use(ring.usable_at - 1)
    assert early.value.until == NOW + DISTRIBUTE_SECONDS
    assert ring.with_newest_in_use(ring.usable_at).current == 2


def test_every_container_has_it_by_then() -> None:
    assert DISTRIBUTE_SECONDS > REFRESH_SECONDS + API_TIMEOUT_SECONDS


def test_an_old_version_is_kept_for_as_long_as_a_queue_keeps_a_message() -> None:
    ring = FIRST.with_new(key(2), NOW).with_newest_in_use(NOW + DISTRIBUTE_SECONDS)
    with pytest.raises(TooEarly):
        ring.without_old(ring.retirable_at - 1)
    assert ring.without_old(ring.retirable_at).keys == {2: key(2)}
    assert ring.without_old(NOW, forced=True).keys == {2: key(2)}
    longest = max(int(each.get("MessageRetentionPeriod", 0)) for each in template.queues().values())
    assert longest < RETAIN_SECONDS


def test_a_version_that_is_distributed_is_not_retired() -> None:
    ring = FIRST.with_new(key(2), NOW)
    assert ring.without_old(NOW + 2 * RETAIN_SECONDS) == ring


def test_a_ring_has_a_bound() -> None:
    ring = FIRST
    for number in range(2, MOST_VERSIONS + 1):
        ring = ring.with_new(key(number), NOW)
    with pytest.raises(ValueError, match="is full: 8 versions"):
        ring.with_new(key(99), NOW)


@given(st.lists(st.tuples(moves, st.floats(0, 2e6)), max_size=30))
def test_whatever_is_done_when_no_version_is_lost_before_its_time(
    steps: list[tuple[str, float]],
) -> None:
    ring, now = FIRST, NOW
    sealed: dict[int, float] = {1: NOW}  # when each version sealed last
    for step, seconds in steps:
        now += seconds
        sealed[ring.current] = now
        try:
            ring = _taken(ring, step, now)
        except (TooEarly, ValueError):
            continue
        assert ring.current in ring.keys
        assert ring.current == 1 or now >= ring.added or ring.newest != ring.current
        for version, last in sealed.items():
            assert version in ring.keys or now - last >= RETAIN_SECONDS


def _taken(ring: KeyRing, step: str, now: float) -> KeyRing:
    match step:
        case "new":
            return ring.with_new(key(ring.newest), now)
        case "use":
            return ring.with_newest_in_use(now)
        case _:
            return ring.without_old(now)
