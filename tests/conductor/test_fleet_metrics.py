"""What guests count of themselves: kept with their row, told to CloudWatch by engine."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from msgspec import structs

from chalicelib.bus.contract import metrics
from chalicelib.bus.contract.metrics import EngineMetrics
from chalicelib.conductor import fleet_metrics, heartbeats
from chalicelib.lifecycle import ServiceStatus
from chalicelib.settings import settings as configuration
from chalicelib.store import instances
from tests.conductor.conftest import Built
from tests.support.bare import World
from tests.support.lines import lines_of
from tests.support.records import event_of, failed_of

FULL = EngineMetrics(
    "mariadb", 100_000, 100_000, 123_456.7, 0.9999, "0-4294967295-18446744073709551"
)


def beat(
    built: Built,
    told: object,
    *,
    status: str = "healthy",
    archive: object = None,
    **changes: Any,
) -> str:
    report = {
        "status": status,
        "archive": archive,
        "reason": "",
        "volume": {"used": 1234.567, "total": 16384.0},
        "rejected": 0,
        "release": 9,
        "version": "0.1.0+1f3a9c02",
        "metrics": told,
    }
    return built.guest.sealed("heartbeat", "heartbeat", report, **changes)


def receive(*bodies: str) -> list[int]:
    return failed_of(heartbeats.receive(event_of(*bodies)))


def kept(built: Built) -> EngineMetrics:
    row = instances.service_status(built.instance.id)
    assert row is not None
    return metrics.parse(row.metrics)


def test_metrics_are_kept_with_the_report_and_gone_with_the_next_that_has_none(
    built: Built,
) -> None:
    receive(beat(built, msgspec.to_builtins(FULL)))
    assert kept(built) == FULL
    receive(beat(built, {}, epoch=2, seq=1))
    assert kept(built) == EngineMetrics()


def test_a_heartbeat_with_all_of_them_is_below_a_kilobyte(built: Built) -> None:
    assert len(beat(built, msgspec.to_builtins(FULL))) < 1024
    assert len(msgspec.json.encode(FULL)) <= metrics.MOST_BYTES


def test_metrics_alone_are_no_reason_to_write(world: World, built: Built) -> None:
    receive(beat(built, {"engine": "mariadb", "connections": 1}))
    before = world.log.count("dynamodb.UpdateItem")
    receive(beat(built, {"engine": "mariadb", "connections": 900}))
    assert world.log.count("dynamodb.UpdateItem") == before
    assert kept(built).connections == 1


@pytest.mark.parametrize(
    "told",
    [
        7,
        "x" * 70_000,
        [{}],
        {"connections": -1},
        {"connections": 10**40},
        {"connections": 1.5},
        {"per_second": 1e308},
        {"cache_hits": 2},
        {"position": "x" * 65},
        {"position": "0-1-1\n"},
        {"position": "<b>"},
        {"engine": "no such/engine"},
    ],
)
def test_metrics_that_do_not_fit_cost_a_guest_its_metrics_alone(built: Built, told: object) -> None:
    assert receive(beat(built, told)) == []
    row = instances.service_status(built.instance.id)
    assert row is not None
    assert (row.status, row.metrics) == (ServiceStatus.HEALTHY, "{}")


def test_numbers_too_small_to_be_any_are_zero(built: Built) -> None:
    receive(beat(built, {"engine": "redis", "per_second": 1e-300, "cache_hits": 5e-324}))
    assert (kept(built).per_second, kept(built).cache_hits) == (0.0, 0.0)


def test_a_batch_is_a_line_for_each_engine_whatever_guests_name(
    world: World, built: Built, other: Built
) -> None:
    third = Built(world)
    with lines_of("chalicelib.conductor") as lines:
        receive(
            beat(built, {"engine": "mariadb", "connections": 1, "connection_limit": 4}),
            beat(other, {"engine": "mariadb", "connections": 3}),
            beat(third, {"engine": "mine", "connections": 9}),
        )
    (line,) = [each for each in lines if "instances" in each]
    assert line["engine"] == "mariadb"
    assert dict(zip(line["instances"], line["connections"], strict=True)) == {
        built.instance.id: 1,
        other.instance.id: 3,
    }
    assert line["connection_percent"] == [25.0]
    assert line["volume_percent"] == [7.5, 7.5]
    for directive in line["_aws"]["CloudWatchMetrics"]:
        assert directive["Dimensions"] == [["deployment", "engine"]]


@pytest.mark.parametrize(
    ("status", "told", "lags"),
    [
        ("healthy", {"engine": "mariadb"}, [[90.0]]),
        ("blocked", {}, [[90.0]]),
        ("shutdown", {}, []),
    ],
)
def test_the_log_of_a_database_that_does_not_answer_lags_and_that_of_one_that_rests_does_not(
    world: World, built: Built, status: str, told: object, lags: list[list[float]]
) -> None:
    """The former counts nothing; the latter's agent may be of a release that tells a lag still."""
    until_ms = int((world.now - 90) * 1000)
    archive = {"id": built.instance.id, "state": "runs", "until_ms": until_ms}
    with lines_of("chalicelib.conductor") as lines:
        receive(beat(built, told, status=status, archive=archive))
    found = [each for each in lines if "log_lag_seconds" in each]
    assert [each["log_lag_seconds"] for each in found] == lags
    for each in found:
        assert each["instances"] == [built.instance.id]
        (lag,) = (
            directive["Dimensions"]
            for directive in each["_aws"]["CloudWatchMetrics"]
            if directive["Metrics"][0]["Name"] == "log_lag_seconds"
        )
        assert ["deployment"] in lag


def test_an_instance_has_metrics_of_its_own_where_they_are_wanted(
    built: Built, monkeypatch: pytest.MonkeyPatch
) -> None:
    chosen = structs.replace(configuration(), instance_metrics=True)
    monkeypatch.setattr(fleet_metrics, "settings", lambda: chosen)
    with lines_of("chalicelib.conductor") as lines:
        receive(beat(built, {"engine": "redis", "connections": 2}))
    (line,) = [each for each in lines if each.get("instance_id") and "connections" in each]
    assert (line["instance_id"], line["connections"]) == (built.instance.id, [2])
    assert line["_aws"]["CloudWatchMetrics"][0]["Dimensions"] == [["deployment", "instance_id"]]
