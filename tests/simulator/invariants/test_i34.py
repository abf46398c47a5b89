"""I34, broken on purpose, is told."""

from __future__ import annotations

import logging

from chalicelib import aws
from chalicelib.bus import commands
from simulator.invariants.marks import FORGED_TRACE
from tests.simulator.deployment import Deployment
from tests.simulator.invariants.breaking import instance, operation, told_by


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
