"""`make bench`: each operation through Coffer beside the same by hand, its calls and its price."""

from __future__ import annotations

import statistics
import time
from collections import Counter
from collections.abc import Callable
from typing import Any, NamedTuple

import pytest

from tests.acceptance.stack import Stack, eventually
from tests.bench.by_hand import ByHand, seconds
from tests.bench.calls import Calls, Counting, show_calls
from tests.bench.executions import invocations, settled, transitions, without
from tests.bench.tables import console, table

pytestmark = [pytest.mark.bench, pytest.mark.filterwarnings("default")]

PAIRS = 3
FLEET = ("sweeper", "mirror_flavors", "look_for_orphans")
"""Scopes of what runs by the clock, whatever is measured meanwhile."""
SMALL, LARGE = "1", "2"


class Operation(NamedTuple):
    """One operation: its flow, the action's body, the status it ends in, and its bare thing."""

    label: str
    flow: str
    body: Callable[[ByHand], dict[str, Any]]
    ends: str
    by_hand: Callable[[ByHand], None] | None
    undo_by_hand: Callable[[ByHand], None] | None = None


def _grown(hand: ByHand) -> dict[str, Any]:
    hand.size += 1
    return {"resize": {"volume": {"size": hand.size}}}


OPERATIONS = (
    Operation("restart", "restart-instance", lambda _: {"restart": {}}, "ACTIVE", None),
    Operation("resize volume", "resize-volume", _grown, "ACTIVE", ByHand.grow),
    Operation(
        "stop", "stop-instance", lambda _: {"stop": {}}, "STOPPED", ByHand.stop, ByHand.start
    ),
    Operation("start", "start-instance", lambda _: {"start": {}}, "ACTIVE", None),
)
"""In turn, on one instance. A start by hand is measured as the undoing of the stop."""


def through_coffer(stack: Stack, instance_id: str, body: dict[str, Any], ends: str) -> float:
    """Seconds from the request to the end of the operation."""
    began = time.perf_counter()
    answer = stack.demo.request("POST", f"/instances/{instance_id}/action", body)
    assert answer.status_code == 202, answer.text

    def ended() -> bool:
        (newest, *_) = stack.demo.operations(instance_id)
        assert newest["status"] not in ("FAILED", "CANCELLED"), newest
        return bool(newest["status"] == "SUCCEEDED")

    eventually(ended, 240, f"{body} of {instance_id}")
    took = time.perf_counter() - began
    shown = stack.demo.show(instance_id)
    assert shown is not None
    assert shown["status"] == ends
    return took


def test_each_operation_beside_the_same_by_hand(stack: Stack) -> None:
    instance_id = stack.demo.created("operated")
    hand = ByHand(stack, instance_id)
    for operation in OPERATIONS:  # warm
        through_coffer(stack, instance_id, operation.body(hand), operation.ends)
    counting = Counting(stack.crash_plan)
    shown = table(
        f"Operations, warm, median of {PAIRS} pairs (seconds)", "", "by hand", "Coffer", "ratio"
    )
    measured: dict[str, Calls] = {}
    bare: dict[str, list[float]] = {each.label: [] for each in OPERATIONS}
    whole: dict[str, list[float]] = {each.label: [] for each in OPERATIONS}
    for _ in range(PAIRS):
        for operation in OPERATIONS:
            if operation.by_hand:
                bare[operation.label].append(seconds(operation.by_hand, hand))
            if operation.undo_by_hand:
                bare["start"].append(seconds(operation.undo_by_hand, hand))
                stack.demo.healthy(instance_id)
            settled(counting)
            counting.begin()
            took = through_coffer(stack, instance_id, operation.body(hand), operation.ends)
            whole[operation.label].append(took)
            measured[operation.label] = _calls(stack, counting, operation.flow)
    for operation in OPERATIONS:
        by_hand, coffer = bare[operation.label], statistics.median(whole[operation.label])
        alone = statistics.median(by_hand) if by_hand else None
        cells = ("", "") if alone is None else (f"{alone:.2f}", f"{coffer / alone:.1f}")
        shown.add_row(operation.label, cells[0], f"{coffer:.2f}", cells[1])
    console.print(shown)
    show_calls(measured)
    assert stack.demo.delete(instance_id).status_code == 202
    stack.demo.wait(instance_id, "GONE")


def _calls(stack: Stack, counting: Counting, flow: str) -> Calls:
    """What one operation has called: the flow's and the guest's calls, and the one request's."""
    counted = settled(counting)
    own = {key: n for key, n in counted.items() if key[0] not in ("api", *FLEET)}
    accepted = {("api", "GetItem"): 1, ("api", "TransactWriteItems"): 1, ("api", "SendMessage"): 1}
    calls = Calls(without(Counter(own | accepted)), api_requests=1)
    calls.transitions = transitions(stack, flow)
    calls.invocations = invocations(stack, flow)
    return calls
