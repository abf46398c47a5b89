"""What the alarms and the dashboard look at is what the functions' lines really have."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator
from typing import Any

import pytest

from chalicelib import tracing
from chalicelib.api import create_app
from chalicelib.auth.context import Context
from chalicelib.bus import commands, contract
from chalicelib.bus.contract.arguments import Page
from chalicelib.bus.envelope import Direction, seal
from chalicelib.conductor import enrolment, heartbeats
from chalicelib.domain.archives import State
from chalicelib.domain.flows import VERIFY_BACKUP
from chalicelib.domain.operations import OperationStatus
from chalicelib.errors import GuestTimeout, Unavailable
from chalicelib.metrics import NAMESPACE
from chalicelib.settings import Settings, settings
from chalicelib.store import archives
from chalicelib.store.ending import Ending, end_operation
from chalicelib.store.ending_backups import VERDICT
from chalicelib.store.models import Instance
from chalicelib.store.operations import operation_of
from functions import verify_backup
from infra.package import dashboard
from infra.package.alarm import MINUTE, Metric
from infra.package.alarms import alarms
from infra.package.alarms_of_lines import TIMED_OUT_CALLS
from infra.package.template import FUNCTIONS
from tests.api.client import Api
from tests.conductor.conftest import Built
from tests.support.bare import World
from tests.support.lines import lines_of
from tests.support.records import event_of
from tests.support.rows import accepted

NAMES = [(function.logical_id, function.name) for function in FUNCTIONS]
Seen = set[tuple[str, tuple[tuple[str, str], ...]]]
"""Names of metrics with their dimensions, without that of the deployment."""


@pytest.fixture
def written(world: World) -> Seen:
    """The metrics of the lines of work that ends in every way that an alarm is on."""
    with lines_of("chalicelib") as lines:
        _answer_requests()
        for status in (
            OperationStatus.SUCCEEDED,
            OperationStatus.FAILED,
            OperationStatus.CANCELLED,
        ):
            end_operation(accepted()[1], Ending(status, undone=True))
        guests = Built(world)
        with pytest.raises(GuestTimeout):
            commands.call(guests.instance, contract.LIST_USERS, Page())
        _send_heartbeats(world, guests)
        _judge_a_backup(guests)
        _follow_an_archive(world, guests)
    return {each for line in lines for each in _metrics_of(line)}


def _answer_requests() -> None:
    def away(_: str) -> Context:
        raise Unavailable("The identity service is not available at the moment.")

    api = Api(create_app(away), "project")
    junk = api.raw("POST", "/guest/v1/enrol", b"junk")
    answers = (api.raw("GET", "/"), junk, api.get("/instances"))
    assert [each.status for each in answers] == [200, 400, 503]


def _send_heartbeats(world: World, built: Built) -> None:
    archive = {"id": "8f2d1f0e-0d4c-4b57-9d39-0c1cbb1b6f0a", "state": "runs", "until_ms": 1000}
    state = {"status": "healthy", "metrics": {"engine": "mariadb"}, "archive": archive}
    said = ("heartbeat", "heartbeat", state)
    late = built.guest.sealed(*said)
    key = built.guest.key_of(Direction.TO_CONTROL)
    newer = seal(built.guest.envelope(*said, v=77), Direction.TO_CONTROL, key)
    world.run(settings().heartbeat_seconds + 1)
    heartbeats.receive(event_of(late, newer))


def _judge_a_backup(built: Built) -> None:
    operation = operation_of(built.instance, VERIFY_BACKUP, arguments={"backup": "b"})
    operation.resources = {VERDICT: {"verdict": "failed", "reason": "page 7"}}
    with tracing.span(logging.getLogger("chalicelib"), "step"):
        verify_backup.judge(operation, None)


def _follow_an_archive(world: World, built: Built) -> None:
    """One that has ended, when the guest asks what is wanted."""
    ended = archives.new_archive(built.instance, "schedule")
    ended.state = State.ENDED
    ended.save()
    built.instance.update([Instance.archive_id.set(ended.id)])
    world.run(archives.LEAST_SECONDS)
    with tracing.span(logging.getLogger("chalicelib"), "request"):
        wanted = enrolment._archive_of(built.instance.id)
        assert wanted is not None
        assert wanted.id != ended.id
        assert enrolment._archive_of(built.instance.id) == wanted, "which is no gap"


def _metrics_of(line: dict[str, Any]) -> Iterator[tuple[str, tuple[tuple[str, str], ...]]]:
    """As CloudWatch takes them out of a line."""
    for directive in line.get("_aws", {}).get("CloudWatchMetrics", ()):
        assert directive["Namespace"] == NAMESPACE
        for names in directive["Dimensions"]:
            values = sorted((name, line[name]) for name in names if name != "deployment")
            for metric in directive["Metrics"]:
                yield metric["Name"], tuple(values)


def _of_coffer(found: Iterable[Metric]) -> Seen:
    return {
        (each.name, tuple(sorted((k, v) for k, v in each.dimensions.items() if k != "deployment")))
        for each in found
        if each.namespace == NAMESPACE
    }


def test_each_metric_of_ours_that_is_looked_at_is_one_that_the_code_writes(written: Seen) -> None:
    watched = _of_coffer(metric for alarm in alarms(NAMES) for metric in alarm.metrics)
    drawn = _of_coffer(metric for graph in dashboard.graphs(NAMES) for metric in graph.metrics)
    assert len(watched) == 13
    assert (watched | drawn) - written == set()


def test_one_hung_guest_wakes_nobody() -> None:
    calls = Settings().calls_per_instance * 5 * MINUTE / commands.bound_of(contract.LIST_USERS)
    assert calls < TIMED_OUT_CALLS
