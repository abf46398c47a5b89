"""A guest's answer is told in the trace of its command, whatever it says itself."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from chalicelib import tracing
from chalicelib.bus import commands
from chalicelib.bus.envelope import Fault
from chalicelib.conductor import reports
from chalicelib.domain.flows import RESTART
from chalicelib.store import commands as rows
from chalicelib.store.events import Asked
from chalicelib.store.models import Command
from chalicelib.store.operations import operation_of
from chalicelib.store.spans import place_of, told_of
from tests.conductor.conftest import Built
from tests.support.bare import World
from tests.support.lines import lines_of

ASKED = tracing.Trace("a" * 32, "b" * 16)
WORK = f"00-{'a' * 32}-{'c' * 16}-01"
OTHERS = f"00-{'d' * 32}-{'c' * 16}-01"


@pytest.fixture
def lines() -> Iterator[list[dict[str, Any]]]:
    with lines_of("chalicelib") as written:
        yield written


@pytest.fixture
def called(world: World, built: Built) -> Command:
    """A command that a request has sent."""
    row = commands.new_command("call-1", built.instance, "list_users", deadline=world.now + 20)
    row.traceparent = str(ASKED)
    return rows.add(row)


def told(lines: list[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    return {line["kind"]: line for line in lines if "kind" in line}


def answer(built: Built, **said: Any) -> None:
    reports.receive(built.guest.sealed("result", "call-1", {"users": []}, **said))


def test_an_answer_leads_from_who_asked_over_the_guest_to_the_conductor(
    world: World, built: Built, called: Command, lines: list[dict[str, Any]]
) -> None:
    world.run(2.0)
    answer(built, traceparent=WORK, took_ms=1500)
    guest, report = told(lines)["guest"], told(lines)["report"]
    assert {guest["trace_id"], report["trace_id"]} == {"a" * 32}
    assert (guest["parent_id"], guest["span_id"]) == ("b" * 16, "c" * 16)
    assert (report["parent_id"], report["report"]) == ("c" * 16, "result")
    assert (guest["took_ms"], guest["guest_call_ms"], guest["method"]) == (1500, 2000, "list_users")
    assert {guest["instance_id"], report["instance_id"]} == {built.instance.id}


@pytest.mark.parametrize("said", [OTHERS, str(ASKED), "junk", None, 7, {"a": "b"}, "x" * 300])
@pytest.mark.parametrize("took", [-1, 2**50, "long", 1.5, None, True])
def test_whatever_a_guest_says_stays_in_the_trace_of_its_command(
    world: World,
    built: Built,
    called: Command,
    lines: list[dict[str, Any]],
    said: object,
    took: object,
) -> None:
    world.run(2.0)
    answer(built, traceparent=said, took_ms=took, issued_at=world.now + 1e6)
    row = rows.find("call-1")
    assert row is not None
    assert row.result == {"users": []}
    for line in told(lines).values():
        assert (line["trace_id"], line["parent_id"]) == ("a" * 32, "b" * 16)
    guest = told(lines)["guest"]
    assert guest["span_id"] not in {"b" * 16, "c" * 16}
    assert 0 <= guest["took_ms"] <= 2000
    assert called.created <= guest["began"] <= world.now


def test_an_answer_that_comes_again_is_known_and_not_told_twice(
    built: Built, called: Command, lines: list[dict[str, Any]]
) -> None:
    answer(built)
    answer(built)
    kinds = [(line["kind"], line["outcome"]) for line in lines if "kind" in line]
    assert kinds == [("guest", "done"), ("report", "done"), ("report", "known")]


def test_a_progress_that_was_overtaken_is_known(
    built: Built, called: Command, lines: list[dict[str, Any]]
) -> None:
    """Another one with its number has come before."""
    for seq in (7, 7, 8):
        reports.receive(built.guest.sealed("progress", "call-1", {"stage": "soon"}, seq=seq))
    told = [line["outcome"] for line in lines if line.get("kind") == "report"]
    assert told == ["done", "known", "done"]


def test_a_superuser_that_is_told_of_again_is_known(
    built: Built, lines: list[dict[str, Any]]
) -> None:
    for number in range(2):
        reports.receive(built.guest.sealed("root", f"root-{number}", {}))
    told = [line["outcome"] for line in lines if line.get("kind") == "report"]
    assert told == ["done", "known"]


def test_a_fault_that_no_release_knows_is_no_value_of_a_metric(
    built: Built, called: Command, lines: list[dict[str, Any]]
) -> None:
    fault = Fault("".join(f"made-up-{number}" for number in range(9)), "no")
    reports.receive(built.guest.sealed("result", "call-1", None, fault))
    assert told(lines)["guest"]["outcome"] == "other"


def test_a_command_of_the_release_before_is_told_with_its_operation(
    world: World, built: Built, lines: list[dict[str, Any]]
) -> None:
    row = commands.new_command(
        f"{built.operation.id}.prepare",
        built.instance,
        "prepare",
        deadline=world.now + 60,
        operation_id=built.operation.id,
    )
    assert row.traceparent is None
    rows.add(row)
    reports.receive(built.guest.sealed("progress", row.id, {"stage": "soon"}, traceparent=OTHERS))
    place = tracing.of_operation(built.operation.id)
    report = told(lines)["report"]
    assert (report["trace_id"], report["parent_id"]) == (place.trace_id, place.span_id)


def test_what_is_refused_says_why_and_belongs_to_nobody(
    built: Built, lines: list[dict[str, Any]]
) -> None:
    reports.receive(built.guest.sealed("nonsense", "call-1", None, traceparent=str(ASKED)))
    report = told(lines)["report"]
    assert (report["outcome"], report["error"]) == ("refused", "UnknownKind")
    assert report["trace_id"] != ASKED.trace_id


def test_an_operation_is_a_part_of_what_has_accepted_it(built: Built) -> None:
    with tracing.working("request", ASKED) as request:
        made = operation_of(built.instance, RESTART)
    assert tracing.parse(made.traceparent) == request.trace
    assert place_of(made).trace_id == ASKED.trace_id


def test_an_operation_of_a_request_that_began_the_trace_needs_to_store_nothing(
    built: Built,
) -> None:
    asked = Asked("user", "req-0af76519-16cd-43dd-8448-eb211c80319c", "project")
    with tracing.working(
        "request", tracing.of_request(asked.request_id or ""), name=asked.request_id
    ):
        made = operation_of(built.instance, RESTART, asked=asked)
    assert made.traceparent is None
    assert place_of(made).trace_id == "0af7651916cd43dd8448eb211c80319c"


def test_an_operation_of_a_flow_of_a_later_release_is_told_of_too(built: Built) -> None:
    built.operation.action = "of_a_later_release"
    assert told_of(built.operation)["instance_id"] == built.instance.id
