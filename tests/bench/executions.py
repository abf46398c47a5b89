"""What an operation did, once it is over: its effects, and the history of its execution."""

from __future__ import annotations

import time
from collections import Counter
from typing import Final

from tests.acceptance.stack import Stack
from tests.bench.calls import Counting

QUIET_WITHIN_SECONDS: Final = 120.0
"""So long effects may go on: a guest that reports more often than is waited for never stops."""


def settled(counting: Counting, quiet: float = 3.0) -> Counter[tuple[str, str]]:
    """The effects once none has been added for a while; fails where that is never."""
    before, since = counting.counted(), time.monotonic()
    until = since + QUIET_WITHIN_SECONDS
    while time.monotonic() - since < quiet:
        assert time.monotonic() < until, f"no {quiet} s without an effect, the last: {before}"
        time.sleep(0.3)
        now = counting.counted()
        if now != before:
            before, since = now, time.monotonic()
    return before


def transitions(stack: Stack, flow: str) -> int:
    """State transitions of the flow's newest execution."""
    return sum(kind.endswith("StateEntered") for kind in _history(stack, flow))


def invocations(stack: Stack, flow: str) -> int:
    """Of functions, by one operation: its steps, the request, the dispatcher, a guest's answer."""
    steps = sum(kind == "TaskStateEntered" for kind in _history(stack, flow))
    return steps + 3


def _history(stack: Stack, flow: str) -> list[str]:
    """The kinds of the events of the flow's newest execution."""
    states = stack.aws("stepfunctions")
    machine = next(
        each["stateMachineArn"]
        for each in states.list_state_machines()["stateMachines"]
        if each["name"].endswith(flow)
    )
    newest = max(
        states.list_executions(stateMachineArn=machine)["executions"],
        key=lambda execution: execution["startDate"],
    )
    history = states.get_execution_history(executionArn=newest["executionArn"], maxResults=1000)
    return [event["type"] for event in history["events"]]


def without(counted: Counter[tuple[str, str]], *scopes: str) -> Counter[str]:
    """Calls by name, without some scopes (what the measuring itself caused, or heartbeats)."""
    found: Counter[str] = Counter()
    for (scope, name), count in counted.items():
        if scope not in scopes:
            found[name] += count
    return found
