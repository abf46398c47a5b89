"""No flow can reach the 25,000 events of an execution's history, whatever its settings allow."""

from __future__ import annotations

from typing import Any, Final

import pytest

from chalicelib.domain.flows import FLOWS, Flow, Step, Waits
from chalicelib.domain.operations import OperationAction
from chalicelib.settings import settings
from chalicelib.store.operations import MOST_PROGRESS_SECONDS
from functions.outcomes import poll_seconds
from infra.package.state_machines import RETRY, render
from simulator import template

MOST_EVENTS: Final = 25_000
TASK_EVENTS: Final = 5
"""Entered, scheduled, started, succeeded, exited."""
STATE_EVENTS: Final = 2
"""A Choice or a Wait is entered and exited."""
POLL_EVENTS: Final = TASK_EVENTS + 2 * STATE_EVENTS
FAILED_EVENTS: Final = 3
"""Of an attempt of a task that is tried again: scheduled, started, failed."""
FAILURES_A_LOOK: Final = 1
"""Each look of the longest wait may fail so often on average; beyond it the execution dies, and
the next attempt goes on from the row (decision 15)."""

GOES_ON: Final = "removal_timeout_seconds"
"""The bound of the steps that tell of progress, which they make for a day together."""


def most(setting: str) -> float:
    """The largest value that the template lets a setting have, or else its default."""
    name = "".join(word.title() for word in setting.split("_"))
    declared: dict[str, Any] = template.declared_parameters().get(name, {})
    return float(declared.get("MaxValue", getattr(settings(), setting)))


def polls(seconds: float) -> int:
    """How often a step looks in so many seconds, each look taking no time."""
    waited, looks = 0.0, 1
    while waited < seconds:
        waited += poll_seconds(waited)
        looks += 1
    return looks


def events(flow: Flow) -> int:
    """The longest history of an execution of the flow."""

    look = POLL_EVENTS + FAILURES_A_LOOK * FAILED_EVENTS

    def of(step: Step, seconds: float) -> int:
        looks = polls(seconds) if step.waits is Waits.POLL else 1
        return looks * look

    # The deadline bounds all forward steps together: one of them takes it whole.
    deadline = max(most("create_timeout_seconds"), most("delete_timeout_seconds"))
    bounded = [each for each in (*flow.steps, *flow.undo) if each.timeout]
    shared = [each for each in flow.steps if not each.timeout]
    ends = len(shared) + 4
    going_on = 0
    if any(each.timeout == GOES_ON for each in bounded):
        waits = most(GOES_ON)
        going_on = (polls(waits + MOST_PROGRESS_SECONDS) - polls(waits)) * look
    longest = max((of(each, deadline) for each in shared), default=0)
    retries = 2 * int(RETRY["MaxAttempts"]) * FAILED_EVENTS
    return (
        longest
        + sum(of(each, most(each.timeout)) for each in bounded)
        + going_on
        + ends * (POLL_EVENTS + FAILED_EVENTS)
        + retries
    )


@pytest.mark.parametrize("name", FLOWS)
def test_the_longest_history_stays_below_the_bound_of_the_service(name: str) -> None:
    assert 0 < events(FLOWS[name]) < MOST_EVENTS


def test_a_create_may_take_a_day() -> None:
    assert most("create_timeout_seconds") == 86_400
    assert polls(86_400) * POLL_EVENTS > MOST_EVENTS / 2  # so the test above says something


def test_what_goes_on_is_counted() -> None:
    assert events(FLOWS[OperationAction.DELETE_BACKUP]) > MOST_EVENTS * 0.9


def test_looks_grow_with_the_wait() -> None:
    pauses = [poll_seconds(waited) for waited in range(0, 3600, 10)]
    assert pauses == sorted(pauses)
    assert pauses[0] == 1
    assert all(poll_seconds(waited) <= max(1, waited / 8) for waited in range(3600))


@pytest.mark.parametrize("name", FLOWS)
def test_a_look_is_no_more_states_than_are_counted(name: str) -> None:
    states = render(FLOWS[name])["States"]
    for state, written in states.items():
        if written["Type"] == "Wait":
            task = written["Next"]
            choice = states[task]["Next"]
            assert states[choice]["Type"] == "Choice"
            assert any(each["Next"] == state for each in states[choice]["Choices"])
