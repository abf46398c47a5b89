"""I34, broken on purpose, is told."""

from __future__ import annotations

import logging

import pytest

from chalicelib import aws
from chalicelib.bus import commands
from chalicelib.conductor import traces
from chalicelib.store import spans
from chalicelib.store.models import Command
from simulator.invariants.marks import FORGED_TRACE
from tests.simulator.deployment import Deployment
from tests.simulator.invariants.breaking import as_guest, instance, operation, told_by


def another_trace(deployment: Deployment) -> None:
    told = {"kind": "step", "trace_id": "1" * 32, "operation_id": operation(deployment).id}
    logging.getLogger("functions.step").info("step: done", extra=told)


def a_step_of_nobody(deployment: Deployment) -> None:
    told = {"kind": "step", "trace_id": "1" * 32}
    logging.getLogger("functions.step").info("step: done", extra=told)


def a_command_in_another_trace(deployment: Deployment) -> None:
    row = instance(deployment)
    made = commands.new_command(
        "c-1", row, "restart", deadline=aws.clock(), operation_id=operation(deployment).id
    )
    made.save()


def a_report_of_nobody(deployment: Deployment) -> None:
    told = {"kind": "report", "outcome": "done", "trace_id": "1" * 32}
    logging.getLogger("chalicelib.conductor.reports").info("report: done", extra=told)


def a_trace_of_a_guest(deployment: Deployment) -> None:
    told = {"kind": "guest", "trace_id": FORGED_TRACE}
    logging.getLogger("chalicelib.store.spans").info("guest: done", extra=told)


test_a_broken_promise_is_told = told_by(
    "I34",
    another_trace,
    a_step_of_nobody,
    a_report_of_nobody,
    a_command_in_another_trace,
    a_trace_of_a_guest,
)


@pytest.mark.parametrize(("told", "again"), [(True, False), (False, False), (False, True)])
def test_work_of_a_guest_is_told_as_it_says(
    deployment: Deployment, monkeypatch: pytest.MonkeyPatch, *, told: bool, again: bool
) -> None:
    """But for a command that was sent twice: the answer from the journal may come first."""
    deployment.invariants.hub.calm = True
    if not told:
        monkeypatch.setattr(traces, "_work_of", lambda _, __: None)
    row, of = instance(deployment), operation(deployment)
    asked = commands.new_command(
        "c-2", row, "restart", deadline=aws.clock() + 60, operation_id=of.id
    )
    place = spans.place_of(of)
    asked.traceparent = f"00-{place.trace_id}-{'4' * 16}-01"
    asked.save()
    as_guest(deployment, "result", "c-2", work=f"00-{place.trace_id}-{'5' * 16}-01")
    if again:  # both are under way
        Command("c-2").update(actions=[Command.answered.remove()])
        as_guest(deployment, "result", "c-2")
    Command("c-2").update(actions=[Command.result.set({})])
    deployment.invariants.check_healed()
    found = [each.text for each in deployment.invariants.each["I34"].violations]
    assert ["no line tells of what was done for restart c-2"] * (not told and not again) == found
