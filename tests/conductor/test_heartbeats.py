"""Heartbeats: the latest by (generation, epoch, seq) counts, and is written only for a reason."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import structs

from chalicelib.bus.envelope import Direction, seal
from chalicelib.conductor import heartbeats
from chalicelib.lifecycle import ServiceStatus
from chalicelib.settings import settings as configuration
from chalicelib.store import events, instances
from chalicelib.store.models import ServiceStatusRow
from simulator.aws.errors import client_error
from tests.conductor.conftest import Built, rotate, under_newer_key
from tests.support.bare import Fault, World, fresh
from tests.support.lines import lines_of
from tests.support.records import counted, event_of, failed_of

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


def receive(*bodies: str) -> list[int]:
    """Handle a batch; the places of the messages that are to come again."""
    return failed_of(heartbeats.receive(event_of(*bodies)))


def test_a_heartbeat_is_stored_with_its_order(world: World, built: Built) -> None:
    receive(beat(built, epoch=1, seq=7))
    row = row_of(built)
    assert (row.status, row.epoch, row.seq) == ("healthy", 1, 7)
    assert (row.volume_used, row.volume_total, row.updated) == (0.2, 2, world.now)


orders = st.tuples(st.integers(1, 3), st.integers(1, 4))
statuses = st.sampled_from(["building", "healthy", "shutdown", "crashed"])


@settings(max_examples=60)
@given(st.dictionaries(orders, statuses, min_size=1), st.data())
def test_in_any_order_and_in_any_batches_the_latest_status_stays(
    reported: dict[tuple[int, int], str], data: st.DataObject
) -> None:
    with fresh() as world:
        check_orders(world, reported, data)


def check_orders(world: World, reported: dict[tuple[int, int], str], data: st.DataObject) -> None:
    built = Built(world)
    sent = data.draw(
        st.permutations([*reported, *data.draw(st.lists(st.sampled_from(sorted(reported))))])
    )
    bodies = [beat(built, reported[order], epoch=order[0], seq=order[1]) for order in sent]
    while bodies:
        size = data.draw(st.integers(1, 4))
        receive(*bodies[:size])
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
        receive(body)
    assert row_of(built).status == "healthy"


def test_a_batch_costs_one_read_and_a_write_for_each_guest(
    world: World, built: Built, other: Built
) -> None:
    batch = [beat(built, "building"), beat(other), beat(built), beat(built)]
    world.log.clear()
    receive(*batch)
    assert world.log == ["dynamodb.BatchGetItem", "dynamodb.UpdateItem", "dynamodb.UpdateItem"]
    assert row_of(built).status == "healthy"


@pytest.mark.parametrize(
    ("change", "after_seconds", "written"),
    [
        ({}, 30, False),
        ({}, 31, True),
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
    receive(beat(built, report=said))
    world.run(after_seconds)
    before = writes(world)
    receive(beat(built, report=said | change))
    assert (writes(world) > before) is written


def test_a_guest_says_of_which_release_it_is_and_one_that_does_not_is_of_none(
    built: Built,
) -> None:
    assert row_of(built).agent_release == 0
    receive(beat(built, report={"status": "healthy", "release": 2}))
    assert row_of(built).agent_release == 2
    receive(beat(built, epoch=2, seq=1))
    assert row_of(built).agent_release == 0, "its server was put back to an older image"


def test_a_guest_says_of_which_version_its_agent_is_in_bounds(built: Built) -> None:
    receive(beat(built, report={"status": "healthy", "version": "0.1.0+1f3a9c02"}))
    assert row_of(built).agent_version == "0.1.0+1f3a9c02"
    for seq, nonsense in enumerate(("../../etc", "1" * 65, "1.0\n", "<b>"), start=1):
        receive(beat(built, epoch=2, seq=seq, report={"status": "healthy", "version": nonsense}))
        assert row_of(built).agent_version == ""


def test_a_new_epoch_is_written_at_once(world: World, built: Built) -> None:
    receive(beat(built, epoch=1, seq=90))
    receive(beat(built, epoch=2, seq=1))
    assert (row_of(built).epoch, row_of(built).seq) == (2, 1)


def test_a_heartbeat_replayed_after_a_day_changes_nothing(world: World, built: Built) -> None:
    old = beat(built, "crashed", expires_at=world.now + 10 * 86400)
    receive(beat(built, "healthy"))
    world.run(86400)
    receive(old)
    assert row_of(built).status == "healthy"


def test_a_heartbeat_that_is_overtaken_by_another_worker_is_dropped(
    world: World, built: Built
) -> None:
    early, late = beat(built, "building", seq=1), beat(built, "healthy", seq=2)
    world.interruptions["dynamodb.UpdateItem"] = lambda: receive(late)
    receive(early)
    assert (row_of(built).status, row_of(built).seq) == ("healthy", 2)


def rebuild(built: Built) -> None:
    row = row_of(built)
    row.generation, row.epoch, row.seq = 2, 0, 0
    row.save()


def test_an_older_generation_is_refused_and_counted(world: World, built: Built) -> None:
    rebuild(built)
    receive(beat(built, "crashed", epoch=99, seq=99))
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
    key = keys.guest_key(built.instance.id, 2, Direction.TO_CONTROL, 1, report.epoch)
    receive(zombie, seal(report, Direction.TO_CONTROL, key))
    row = row_of(built)
    assert (row.status, row.stale_reports) == ("healthy", 1)


def test_a_guest_without_a_row_creates_none(world: World, built: Built) -> None:
    row_of(built).delete()
    receive(beat(built))
    assert instances.service_status(built.instance.id) is None


def test_a_status_of_a_later_release_is_unknown(built: Built) -> None:
    receive(beat(built, "dancing"))
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
    receive(beat(other, report=report), beat(built))
    assert row_of(built).status == "healthy"
    assert row_of(other).status == ServiceStatus.NEW
    reason = f"Malformed: a heartbeat of {other.instance.id} that reports no state"
    assert counted(world) == {reason: 1}


def test_what_is_no_heartbeat_is_recorded_and_the_rest_applied(world: World, built: Built) -> None:
    receive("poison", built.guest.sealed("result", "1", {}), beat(built))
    assert row_of(built).status == "healthy"
    assert sorted(counted(world).values()) == [1, 1]


def test_an_empty_batch_calls_nobody(world: World) -> None:
    receive()
    assert world.log == []


@pytest.mark.parametrize("used", [1e-300, 5e-324, 0.0, -0.0, 1e9, 0.1234567890123456789])
def test_a_size_is_stored_as_the_table_takes_it(built: Built, used: float) -> None:
    report = {"status": "healthy", "volume": {"used": used, "total": used}}
    assert receive(beat(built, report=report)) == []
    assert row_of(built).volume_used == round(used, 3)


def refused_for(patch: pytest.MonkeyPatch, world: World, instance_id: str, code: str) -> None:
    """The table refuses every write of one row."""
    call = world.dynamodb._make_api_call

    def refusing(operation: str, kwargs: dict[str, Any]) -> Any:
        if operation == "UpdateItem" and kwargs["Key"].get("instance_id") == {"S": instance_id}:
            raise client_error(code, operation, "not this one")
        return call(operation, kwargs)

    patch.setattr(world.dynamodb, "_make_api_call", refusing)


@pytest.mark.parametrize("code", ["ValidationException", "ThrottlingException"])
def test_a_row_that_cannot_be_written_fails_alone(
    monkeypatch: pytest.MonkeyPatch, world: World, built: Built, other: Built, code: str
) -> None:
    refused_for(monkeypatch, world, other.instance.id, code)
    assert receive("poison", beat(other), beat(built)) == [1]
    assert row_of(built).status == "healthy"
    assert list(counted(world).values()) == [1]


def test_what_cannot_be_read_comes_again_and_poison_does_not(world: World, built: Built) -> None:
    world.faults[len(world.log) + 1] = Fault.REFUSED
    assert receive(beat(built), "poison") == [0]
    assert list(counted(world).values()) == [1]


def test_an_outage_is_not_tried_for_each_guest(
    monkeypatch: pytest.MonkeyPatch, world: World
) -> None:
    many = [Built(world) for _ in range(heartbeats.MOST_OUTAGES + 4)]
    bodies = [beat(each) for each in many]
    for each in many:
        refused_for(monkeypatch, world, each.instance.id, "ThrottlingException")
    before = writes(world)
    assert receive(*bodies) == list(range(len(many)))
    assert writes(world) - before == heartbeats.MOST_OUTAGES


def test_refusals_that_cannot_be_counted_do_not_hurt_the_healthy(
    world: World, built: Built
) -> None:
    junk = ["poison"] * 50
    world.faults[len(world.log) + 3] = Fault.REFUSED
    assert receive(*junk, beat(built)) == []
    assert (row_of(built).status, counted(world)) == ("healthy", {})


def test_junk_costs_a_write_for_each_reason_and_rows_for_each_shard(world: World) -> None:
    before = writes(world)
    for _ in range(200):
        receive(*["poison"] * 10)
    assert writes(world) - before == 200
    assert sum(counted(world).values()) == 2000
    assert len(list(world.dynamodb.rows("coffer-events"))) == events.SHARDS


def test_an_epoch_that_the_guest_chose_itself_is_refused(world: World, built: Built) -> None:
    report = built.guest.envelope("heartbeat", "heartbeat", {"status": "crashed"}, epoch=2)
    body = seal(report, Direction.TO_CONTROL, built.guest.key_of(Direction.TO_CONTROL))
    assert receive(body, beat(built, seq=50)) == []
    assert (row_of(built).status, row_of(built).epoch) == ("healthy", 1)
    assert "BadSeal" in "".join(counted(world))


def test_a_heartbeat_under_a_key_that_is_not_known_yet_comes_again_alone(
    world: World, built: Built
) -> None:
    newer = under_newer_key(world, built, "heartbeat", "heartbeat", {"status": "healthy"})
    assert receive(newer, beat(built, seq=50)) == [0]
    assert row_of(built).seq == 50
    assert not counted(world)
    rotate(world)
    assert receive(newer) == []


def test_the_reason_of_a_status_is_kept_as_bounded_text_while_it_lasts(built: Built) -> None:
    reason = "the volume is full\n" + "x" * 999
    receive(beat(built, seq=1, report={"status": "blocked", "reason": reason}))
    row = row_of(built)
    assert row.status == "blocked"
    assert row.status_reason is not None
    assert row.status_reason.startswith("the volume is fullxxx")
    assert len(row.status_reason) == heartbeats.MOST_REASON
    receive(beat(built, seq=2, report={"status": "healthy", "reason": ""}))
    assert not row_of(built).status_reason


@pytest.mark.parametrize(("period", "expiry"), [(3, 90), (10, 90), (30, 90), (60, 180), (150, 360)])
def test_a_row_is_written_as_seldom_as_half_the_expiry_allows(
    world: World, built: Built, monkeypatch: pytest.MonkeyPatch, period: int, expiry: int
) -> None:
    chosen = structs.replace(
        configuration(), heartbeat_seconds=period, heartbeat_expiry_seconds=expiry
    )
    monkeypatch.setattr(heartbeats, "settings", lambda: chosen)
    oldest, before = 0.0, writes(world)
    for _ in range(60):
        oldest = max(oldest, world.now - row_of(built).updated)
        receive(beat(built))
        world.run(period)
    assert oldest <= max(period, expiry / 2)
    every_second = 2 * period <= expiry / 2  # one after a gap is written
    assert writes(world) - before <= (31 if every_second else 60)


def test_a_batch_is_one_line_with_its_metrics(world: World, built: Built, other: Built) -> None:
    late = beat(other)
    world.run(configuration().heartbeat_seconds + 1)
    with lines_of("chalicelib.conductor") as lines:
        receive(late, beat(built), "junk", "more junk")
    told = [line for line in lines if "kind" in line]
    assert [(line["kind"], line["count"], line["refused"]) for line in told] == [
        ("heartbeats", 4, 2)
    ]
    (line,) = told
    assert (line["heartbeats"], line["heartbeats_late"], line["heartbeats_refused"]) == (4, 1, 2)
    refusals = [(each["reason"], each["refusals"]) for each in lines if "refusals" in each]
    assert refusals == [("Malformed", 2)]
