"""Executions in flight keep the definition they began with: its steps are still answered.

`last_release` holds each definition as it was deployed before it changed last. A release that
changes a flow puts what was deployed until then in its place, and one that renames a step keeps
the old name in `functions.handler`.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Final

import pytest

from chalicelib.domain.flows import FLOWS
from chalicelib.domain.operations import OperationStatus
from chalicelib.lifecycle import Status
from chalicelib.store import instances, operations
from functions import handler
from simulator import template
from simulator.region import TASK_MANAGERS
from tests.support.simulated import Stack

WRITTEN: Final = {
    file.name.removesuffix(".asl.json"): json.loads(file.read_text())
    for file in (Path(__file__).parent / "last_release").glob("*.asl.json")
}
STEPS: Final = {"${TaskManagerCloudArn}": handler.CLOUD_STEPS} | {
    "${TaskManagerArn}": handler.LOCAL_STEPS
}


# In an order in which one instance can go through them, with what each was asked for.
IN_TURN: Final[dict[str, dict[str, Any] | None]] = {
    "update_access": {"is_public": False, "allowed_cidrs": ["10.0.0.0/8"]},
    "restart_instance": None,
    "resize_volume": {"volume_size": 5},
    "stop_instance": None,
    "start_instance": None,
    "reboot_instance": None,
}


@pytest.fixture
def before(stack: Stack) -> Stack:
    """Executions begin with the definitions of the last release, where it had that flow."""

    for flow, written in WRITTEN.items():
        name = template.name(flow.replace("_", "-"))
        stack.machines.create(name, json.dumps(written), TASK_MANAGERS)
    return stack


def test_the_last_release_had_flows() -> None:
    assert set(WRITTEN) == {"create_instance", "delete_instance", *IN_TURN}


@pytest.mark.parametrize("flow", WRITTEN)
def test_each_step_of_the_last_release_is_answered_where_it_was_sent(flow: str) -> None:
    for state in WRITTEN[flow]["States"].values():
        if state["Type"] == "Task":
            sent = state["Parameters"]
            called, payload = sent.get("FunctionName", state["Resource"]), sent.get("Payload", sent)
            assert payload["step"] in STEPS[called]


def test_executions_of_the_last_release_end_on_the_present_handlers(before: Stack) -> None:
    stack = before
    instance, _ = stack.create()
    stack.settle()
    for flow, arguments in IN_TURN.items():
        holds = None
        if flow == "resize_volume":
            holds = {**instances.get_instance(instance.id).held, "volumes": 5}
        operation = stack.accept(instance.id, FLOWS[flow], arguments, holds=holds)
        stack.settle()
        row = operations.get_operation(operation.id)
        assert row is not None
        assert row.status == OperationStatus.SUCCEEDED, (flow, row.reason)
        stack.check()
    stack.delete(instance.id)
    stack.settle()
    stack.check()


def test_a_create_of_the_last_release_is_taken_back_by_the_present_handlers(before: Stack) -> None:
    stack = before
    stack.spoil("compute", "create_server", "error")
    instance, operation = stack.create()
    stack.settle()
    stack.check()
    row = operations.get_operation(operation.id)
    assert row is not None
    assert row.status == OperationStatus.FAILED
    assert instances.get_instance(instance.id).status == Status.ERROR
