"""The event feed."""

from __future__ import annotations

from chalicelib.store import events
from tests.support.world import World


def test_events_are_told_newest_first_within_their_scope(world: World) -> None:
    for number in range(3):
        events.record("instance-1", "kind", f"event {number}")
        world.now += 1
    events.record("instance-2", "kind", "of another")
    assert [row.message for row in events.events_of("instance-1")] == [
        "event 2",
        "event 1",
        "event 0",
    ]
    assert [row.message for row in events.events_of("instance-1", limit=1)] == ["event 2"]


def test_two_events_of_one_moment_are_both_kept(world: World) -> None:
    events.record(events.BUS, "kind", "one")
    events.record(events.BUS, "kind", "two")
    assert len(events.events_of(events.BUS)) == 2


def test_a_message_is_bounded_and_an_event_expires(world: World) -> None:
    row = events.new_event("scope", "kind", "x" * 5000)
    assert len(row.message) == 1024
    assert row.expires.timestamp() == world.now + events.KEEP_SECONDS
