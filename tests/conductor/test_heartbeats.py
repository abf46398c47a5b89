"""Heartbeats: the latest by (generation, epoch, seq) counts, and is written only for a reason."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from chalicelib.conductor import heartbeats
from chalicelib.lifecycle import ServiceStatus
from chalicelib.store import events, instances
from chalicelib.store.models import TABLES, ServiceStatusRow
from tests.conductor.conftest import Built
from tests.support.world import World

WRITES = ("dynamodb.UpdateItem", "dynamodb.PutItem")


def row_of(built: Built) -> ServiceStatusRow:
    row = instances.service_status(built.instance.id)
    assert row is not None
    return row


def beat(built: Built, status: str = "healthy", **changes: Any) -> str:
    report = changes.pop("report", {"status": status, "volume": {"used": 0.2, "total": 2.0}})
    return built.guest.sealed("heartbeat", "heartbeat", report, **changes)


def writes(world: World) -> int:
    return sum(call in WRITES for call in world.log)


def poisoned() -> list[str]:
    return [row.message for row in events.events_of(events.BUS)]


def test_a_heartbeat_is_stored_with_its_order(world: World, built: Built) -> None:
    heartbeats.receive([beat(built, epoch=1, seq=7)])
    row = row_of(built)
    assert (row.status, row.epoch, row.seq) == ("healthy", 1, 7)
    assert (row.volume_used, row.volume_total, row.updated) == (0.2, 2, world.now)


orders = st.tuples(st.integers(1, 3), st.integers(1, 4))
statuses = st.sampled_from(["building", "healthy", "shutdown", "crashed"])


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60)
@given(st.dictionaries(orders, statuses, min_size=1), st.data())
def test_in_any_order_and_in_any_batches_the_latest_status_stays(
    world: World, reported: dict[tuple[int, int], str], data: st.DataObject
) -> None:
    world.__init__(TABLES)  # type: ignore[misc]
    built = Built(world)
    sent = data.draw(
        st.permutations([*reported, *data.draw(st.lists(st.sampled_from(sorted(reported))))])
    )
    bodies = [beat(built, reported[order], epoch=order[0], seq=order[1]) for order in sent]
    while bodies:
        size = data.draw(st.integers(1, 4))
        heartbeats.receive(bodies[:size])
        bodies = bodies[size:]
    latest = max(reported)
    assert row_of(built).status == reported[latest]
    assert int(row_of(built).epoch) == latest[0]


def test_a_late_heartbeat_does_not_pass_for_news_after_one_that_said_nothing_new(
    built: Built,
) -> None:
    """Healthy, down, healthy again within seconds; the one in the middle arrives last."""
    first, down, again = beat(built), beat(built, "shutdown"), beat(built)
    for body in (first, again, down):
        heartbeats.receive([body])
    assert row_of(built).status == "healthy"


def test_a_batch_costs_one_read_and_a_write_for_each_guest(
    world: World, built: Built, other: Built
) -> None:
    batch = [beat(built, "building"), beat(other), beat(built), beat(built)]
    world.log.clear()
    heartbeats.receive(batch)
    assert world.log == ["dynamodb.BatchGetItem", "dynamodb.UpdateItem", "dynamodb.UpdateItem"]
    assert row_of(built).status == "healthy"


@pytest.mark.parametrize(
    ("change", "after_seconds", "written"),
    [
        ({}, 10, False),
        ({}, 24, True),
        ({"status": "shutdown"}, 1, True),
        ({"volume": {"used": 0.25, "total": 2.0}}, 1, False),
        ({"volume": {"used": 0.31, "total": 2.0}}, 1, True),
        ({"rejected": 1}, 1, True),
        ({"volume": None}, 1, False),
    ],
)
def test_a_heartbeat_is_written_when_it_says_something_new_or_the_last_is_old(
    world: World, built: Built, change: dict[str, Any], after_seconds: float, written: bool
) -> None:
    said: dict[str, Any] = {"status": "healthy", "volume": {"used": 0.2, "total": 2.0}}
    heartbeats.receive([beat(built, report=said)])
    world.now += after_seconds
    before = writes(world)
    heartbeats.receive([beat(built, report=said | change)])
    assert (writes(world) > before) is written


def test_a_new_epoch_is_written_at_once(world: World, built: Built) -> None:
    heartbeats.receive([beat(built, epoch=1, seq=90)])
    heartbeats.receive([beat(built, epoch=2, seq=1)])
    assert (row_of(built).epoch, row_of(built).seq) == (2, 1)


def test_a_heartbeat_replayed_after_a_day_changes_nothing(world: World, built: Built) -> None:
    old = beat(built, "crashed", expires_at=world.now + 10 * 86400)
    heartbeats.receive([beat(built, "healthy")])
    world.now += 86400
    heartbeats.receive([old])
    assert row_of(built).status == "healthy"


def test_a_heartbeat_that_is_overtaken_by_another_worker_is_dropped(
    world: World, built: Built
) -> None:
    early, late = beat(built, "building", seq=1), beat(built, "healthy", seq=2)
    world.interruptions["dynamodb.UpdateItem"] = lambda: heartbeats.receive([late])
    heartbeats.receive([early])
    assert (row_of(built).status, row_of(built).seq) == ("healthy", 2)


def rebuild(built: Built) -> None:
    row = row_of(built)
    row.generation, row.epoch, row.seq = 2, 0, 0
    row.save()


def test_an_older_generation_is_refused_and_counted(world: World, built: Built) -> None:
    rebuild(built)
    heartbeats.receive([beat(built, "crashed", epoch=99, seq=99)])
    row = row_of(built)
    assert (row.status, row.generation, row.stale_reports) == (ServiceStatus.NEW, 2, 1)


def test_an_older_generation_in_the_batch_of_the_present_one_is_counted_too(
    world: World, built: Built
) -> None:
    rebuild(built)
    zombie = beat(built, "crashed")
    built.guest.admission = {**(built.guest.admission or {}), "generation": 2}
    from chalicelib.bus import keys
    from chalicelib.bus.envelope import Direction, seal

    report = built.guest.envelope("heartbeat", "heartbeat", {"status": "healthy"})
    key = keys.guest_key(built.instance.id, 2, Direction.TO_CONTROL, 1)
    heartbeats.receive([zombie, seal(report, Direction.TO_CONTROL, key)])
    row = row_of(built)
    assert (row.status, row.stale_reports) == ("healthy", 1)


def test_a_guest_without_a_row_creates_none(world: World, built: Built) -> None:
    row_of(built).delete()
    heartbeats.receive([beat(built)])
    assert instances.service_status(built.instance.id) is None


def test_a_status_of_a_later_release_is_unknown(built: Built) -> None:
    heartbeats.receive([beat(built, "dancing")])
    assert row_of(built).status == ServiceStatus.UNKNOWN


@pytest.mark.parametrize(
    "report",
    [
        {"status": 7},
        {"volume": "full"},
        {"volume": {"used": "much"}},
        {"volume": {"used": -1}},
        {"volume": {"used": 1e300}},
        {"rejected": "x"},
        {"rejected": 10**30},
    ],
)
def test_a_guest_that_reports_nonsense_does_not_hold_up_the_others(
    world: World, built: Built, other: Built, report: dict[str, Any]
) -> None:
    heartbeats.receive([beat(other, report=report), beat(built)])
    assert row_of(built).status == "healthy"
    assert row_of(other).status == ServiceStatus.NEW
    assert poisoned() == ["Malformed: a heartbeat that reports something else"]


def test_what_is_no_heartbeat_is_recorded_and_the_rest_applied(world: World, built: Built) -> None:
    heartbeats.receive(["poison", built.guest.sealed("result", "1", {}), beat(built)])
    assert row_of(built).status == "healthy"
    assert len(poisoned()) == 2


def test_an_empty_batch_calls_nobody(world: World) -> None:
    heartbeats.receive([])
    assert world.log == []
