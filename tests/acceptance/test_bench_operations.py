"""`make bench`: each operation through Coffer beside the same by hand, its calls and its price."""

from __future__ import annotations

import statistics
import time
from collections import Counter
from collections.abc import Callable
from typing import Final

import pytest

from tests.acceptance.operating import OPERATIONS, begin, over
from tests.acceptance.stack import Stack
from tests.bench.by_hand import ByHand, seconds
from tests.bench.calls import Calls, Counting, show_calls
from tests.bench.executions import invocations, settled, transitions, without
from tests.bench.tables import console, table

pytestmark = [pytest.mark.bench, pytest.mark.filterwarnings("default")]

PAIRS = 3
FLEET = ("sweeper", "mirror_flavors", "look_for_orphans")
"""Scopes of what runs by the clock, whatever is measured meanwhile."""
BY_HAND: Final[dict[str, Callable[[ByHand], None]]] = {
    "resize_volume": ByHand.grow,
    "resize_flavor": ByHand.resize,
    "stop_instance": ByHand.stop,
    "start_instance": ByHand.start,
    "reboot_instance": ByHand.reboot,
    "migrate_instance": ByHand.migrate,
}
"""What an operator would do in the cloud; a restart or a rebuild by hand has no such thing."""


def through_coffer(stack: Stack, instance_id: str, flow: str) -> float:
    """Seconds from the request to the end of the operation."""
    shown = stack.demo.show(instance_id)
    assert shown is not None
    began = time.perf_counter()
    begin(stack, instance_id, flow, shown)
    ended = over(stack, instance_id)
    assert ended["status"] == "SUCCEEDED", ended
    return time.perf_counter() - began


def test_each_operation_beside_the_same_by_hand(stack: Stack) -> None:
    instance_id = stack.demo.created("operated")
    stack.demo.healthy(instance_id)
    counting = Counting(stack.crash_plan)
    bare: dict[str, list[float]] = {flow: [] for flow in OPERATIONS}
    whole: dict[str, list[float]] = {flow: [] for flow in OPERATIONS}
    measured: dict[str, Calls] = {}
    for flow in OPERATIONS:  # warm
        through_coffer(stack, instance_id, flow)
    for _ in range(PAIRS):
        for flow in OPERATIONS:
            counting.begin()
            whole[flow].append(through_coffer(stack, instance_id, flow))
            measured[flow] = _calls(stack, counting, flow)
    hand = ByHand(stack, instance_id)  # behind Coffer's back, so last
    for _ in range(PAIRS):
        for flow, by_hand in BY_HAND.items():
            bare[flow].append(seconds(by_hand, hand))
    shown = table(
        f"Operations, warm, medians of {PAIRS} (seconds)", "", "by hand", "Coffer", "ratio"
    )
    for flow in OPERATIONS:
        coffer = statistics.median(whole[flow])
        alone = statistics.median(bare[flow]) if bare[flow] else None
        cells = ("", "") if alone is None else (f"{alone:.2f}", f"{coffer / alone:.1f}")
        shown.add_row(flow, cells[0], f"{coffer:.2f}", cells[1])
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
    calls.transitions = transitions(stack, flow.replace("_", "-"))
    calls.invocations = invocations(stack, flow.replace("_", "-"))
    return calls
