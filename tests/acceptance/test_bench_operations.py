"""`make bench`: each operation through Coffer beside the same by hand, its calls and its price."""

from __future__ import annotations

import statistics
import time
from collections import Counter
from collections.abc import Callable
from functools import partial
from typing import Any, Final

import pytest

from chalicelib.domain.flows import FLOWS
from guest_agent.queues import LONG_POLL_SECONDS
from tests.acceptance.operating import OPERATIONS, begin, over
from tests.acceptance.stack import Stack
from tests.bench import engine
from tests.bench.by_hand import ByHand, seconds
from tests.bench.calls import Calls, Counting, show_calls
from tests.bench.executions import invocations, settled, transitions, without
from tests.bench.tables import console, table

pytestmark = [pytest.mark.bench, pytest.mark.filterwarnings("default")]

PAIRS = 3
FLEET = ("sweeper", "mirror_flavors", "look_for_orphans")
"""Scopes of what runs by the clock, whatever is measured meanwhile."""
ROWS: Final = ("create_instance", *OPERATIONS, "delete_instance")
BY_HAND: Final[dict[str, Callable[[ByHand], float]]] = {
    "create_instance": lambda hand: seconds(ByHand.create, hand),
    "restart_instance": lambda _: engine.restart_seconds(),
    "resize_volume": lambda hand: seconds(ByHand.grow, hand),
    "resize_flavor": lambda hand: seconds(ByHand.resize, hand),
    "update_access": lambda hand: seconds(ByHand.open, hand),
    "stop_instance": lambda hand: seconds(ByHand.stop, hand),
    "start_instance": lambda hand: seconds(ByHand.start, hand),
    "reboot_instance": lambda hand: seconds(ByHand.reboot, hand),
    "migrate_instance": lambda hand: seconds(ByHand.migrate, hand),
    "rebuild_instance": lambda hand: seconds(ByHand.rebuild, hand),
    "upgrade_instance": lambda hand: seconds(ByHand.rebuild, hand),
    "delete_instance": lambda hand: seconds(ByHand.delete, hand),
}
"""What an operator would do in the cloud and with the engine. Of a rebuild and of an upgrade it is
the server's alone: nothing but Coffer brings its database back."""
ENDS_AGENT: Final = ("resize_flavor", "stop_instance", "reboot_instance", "migrate_instance")
"""What ends the agent of a guest that keeps its queue: the receive that it had open may take the
next command, which comes back when it is visible again. So none is sent for so long."""


class Measured:
    """Seconds and calls of each operation through Coffer."""

    def __init__(self, stack: Stack) -> None:
        self.stack = stack
        self.counting = Counting(stack.crash_plan)
        self.seconds: dict[str, list[float]] = {row: [] for row in ROWS}
        self.calls: dict[str, Calls] = {}
        self._agent_ended = -float(LONG_POLL_SECONDS)

    def all_of(self, instance_id: str) -> None:
        """Each operation on an instance in turn, and the life of another one around them."""
        made: list[str] = []
        self._one("create_instance", lambda: made.append(self._create()))
        for flow in OPERATIONS:
            if FLOWS[flow].asks:
                gone = time.monotonic() - self._agent_ended
                time.sleep(max(LONG_POLL_SECONDS - gone, 0.0))
            shown = self.stack.demo.healthy(instance_id) if flow != "start_instance" else {}
            self._one(flow, partial(self._operate, instance_id, flow, shown))
            if flow in ENDS_AGENT:
                self._agent_ended = time.monotonic()
        self._one("delete_instance", lambda: self._delete(made[0]))

    def _one(self, flow: str, operate: Callable[[], object]) -> None:
        self.counting.begin()
        self.seconds[flow].append(seconds(operate))
        counted = settled(self.counting)
        own = {key: n for key, n in counted.items() if key[0] not in ("api", *FLEET)}
        accepted = ("GetItem", "TransactWriteItems", "SendMessage")
        calls = Calls(without(Counter(own | {("api", name): 1 for name in accepted})))
        calls.api_requests = 1
        calls.transitions = transitions(self.stack, flow.replace("_", "-"))
        calls.invocations = invocations(self.stack, flow.replace("_", "-"))
        self.calls[flow] = calls

    def _create(self) -> str:
        instance_id = self.stack.demo.created("measured")
        assert over(self.stack, instance_id)["status"] == "SUCCEEDED"
        return instance_id

    def _operate(self, instance_id: str, flow: str, shown: dict[str, Any]) -> None:
        begin(self.stack, instance_id, flow, shown)
        ended = over(self.stack, instance_id)
        assert ended["status"] == "SUCCEEDED", ended

    def _delete(self, instance_id: str) -> None:
        assert self.stack.demo.delete(instance_id).status_code == 202
        self.stack.demo.wait(instance_id, "GONE")


def test_each_operation_beside_the_same_by_hand(stack: Stack) -> None:
    instance_id = stack.demo.created("operated")
    stack.demo.healthy(instance_id)
    Measured(stack).all_of(instance_id)  # warm
    measured = Measured(stack)
    for _ in range(PAIRS):
        measured.all_of(instance_id)
    hand = ByHand(stack, instance_id)  # behind Coffer's back, so last
    bare: dict[str, list[float]] = {flow: [] for flow in BY_HAND}
    for _ in range(PAIRS):
        for flow, by_hand in BY_HAND.items():
            bare[flow].append(by_hand(hand))
    shown = table(
        f"Operations, warm, {PAIRS} each (seconds)",
        *("", "by hand: median", "Coffer: min", "median", "max", "ratio of medians"),
    )
    for flow, whole in measured.seconds.items():
        coffer, alone = statistics.median(whole), statistics.median(bare[flow])
        figures = (alone, min(whole), coffer, max(whole))
        shown.add_row(flow, *(f"{each:.2f}" for each in figures), f"{coffer / alone:.1f}")
    console.print(shown)
    show_calls(measured.calls)
    assert stack.demo.delete(instance_id).status_code == 202
    stack.demo.wait(instance_id, "GONE")
