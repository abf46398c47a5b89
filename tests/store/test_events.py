"""The event feed."""

from __future__ import annotations

import pytest

from chalicelib.store import events
from tests.support.bare import World


def test_events_are_told_newest_first_within_their_scope(world: World) -> None:
    for number in range(3):
        events.record("instance-1", "kind", f"event {number}")
        world.run(1)
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


def told(page: events.Page) -> list[str]:
    return [row.message for row in page.rows]


def fill(world: World) -> None:
    """Ten events of five instances of a tenant, a second apart, and of others."""
    for number in range(10):
        kind = "guest.crashed" if number % 3 == 0 else "create_instance.accepted"
        events.record(f"instance-{number % 5}", kind, str(number), "tenant-1")
        events.record(f"instance-{number % 5}", "enrolment.refused", "for operators alone")
        events.record("instance-x", "guest.crashed", "another tenant's", "tenant-2")
        world.run(1)


def test_a_tenant_reads_the_events_of_all_its_instances_in_their_order(world: World) -> None:
    fill(world)
    page = events.page_of_tenant("tenant-1", 20, None)
    assert told(page) == [str(number) for number in reversed(range(10))]
    assert page.marker is None


@pytest.mark.parametrize("limit", [1, 3, 5, 10, 11])
def test_pages_are_the_whole_feed(
    world: World, limit: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of each kind from the same events, which take longer to record than to read.

    Where a page is full with the last row that was read at once, there may be more behind it.
    """
    monkeypatch.setattr(events, "READ_AT_ONCE", 3)
    fill(world)
    for kind, length in {None: 10, "guest.crashed": 4, "guest": 4, "nothing": 0}.items():
        wanted = events.Wanted(kind=kind)
        whole = told(events.page_of_tenant("tenant-1", 100, None, wanted))
        assert len(whole) == length, kind
        seen, marker = list[str](), None
        while True:
            page = events.page_of_tenant("tenant-1", limit, marker, wanted)
            assert len(page.rows) <= limit
            seen, marker = seen + told(page), page.marker
            if marker is None:
                break
        assert seen == whole, kind


def test_times_bound_a_feed(world: World) -> None:
    begun = world.now
    fill(world)

    def between(since: float | None, until: float | None, before: str | None = None) -> list[str]:
        wanted = events.Wanted(since=since, until=until)
        return told(events.page_of_tenant("tenant-1", 100, before, wanted))

    assert between(begun + 7, None) == ["9", "8", "7"]
    assert between(None, begun + 2) == ["1", "0"]
    assert between(begun + 2, begun + 4) == ["3", "2"]
    assert between(begun + 4, begun + 2) == []
    newest = events.page_of_tenant("tenant-1", 1, None).marker
    assert newest is not None
    assert between(begun + 8, None, newest) == ["8"]
    assert between(begun + 10, None, newest) == []


def test_a_feed_without_what_is_asked_for_ends_where_much_was_read(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(events, "READ_AT_ONCE", 2)
    monkeypatch.setattr(events, "MOST_READ", 4)
    fill(world)
    page = events.page_of_tenant("tenant-1", 5, None, events.Wanted(kind="nothing"))
    assert page.rows == []
    assert page.marker is not None


def test_the_feed_of_a_tenant_has_several_partitions(world: World) -> None:
    feeds = {events.new_event(f"i-{each}", "kind", "", "tenant-1").feed for each in range(100)}
    assert len(feeds) == events.FEED_SHARDS
    assert events.new_event("i-1", "kind", "").feed is None


def test_what_is_told_again_leaves_the_row_as_it_is(world: World) -> None:
    """Another release may have stored more with it."""
    for text in ("first", "again"):
        events.record_once_a_second("i-1", "guest.crashed", text, world.now, "tenant-1")
    assert told(events.page_of_scope("i-1", 10, None)) == ["first"]
    events.record_once_a_second("i-2", "guest.crashed", "of another", world.now, "tenant-1")
    assert len(events.page_of_tenant("tenant-1", 1, None).rows) == 1
    assert len(events.page_of_tenant("tenant-1", 9, None).rows) == 2
