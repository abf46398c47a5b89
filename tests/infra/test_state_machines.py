"""The rendered state machines: each state leads somewhere, each failure where the flow says."""

from __future__ import annotations

import re
from typing import Any

import pytest

from chalicelib.domain.flows import COMPLETE, FAIL, FLOWS, KINDS, Waits
from infra.package.state_machines import render, rendered

States = dict[str, Any]


def states_of(name: str) -> States:
    states: States = render(FLOWS[name])["States"]
    return states


def targets(state: dict[str, Any]) -> set[str]:
    found = {state["Next"]} if "Next" in state else set[str]()
    found |= {state["Default"]} if "Default" in state else set()
    found |= {each["Next"] for each in [*state.get("Choices", []), *state.get("Catch", [])]}
    return found


@pytest.mark.parametrize("name", FLOWS)
def test_every_state_is_reached_and_every_target_is_there(name: str) -> None:
    states = states_of(name)
    reached, left = set[str](), [render(FLOWS[name])["StartAt"]]
    while left:
        state = left.pop()
        if state not in reached:
            reached.add(state)
            left += targets(states[state])
    assert reached == set(states)


@pytest.mark.parametrize("name", FLOWS)
def test_a_flow_runs_each_step_it_declares_and_both_ends(name: str) -> None:
    flow = FLOWS[name]
    text = rendered()[name]
    ran = re.findall(r'"step":"([a-z_.]+)"', text)
    declared = [flow.path(each) for each in (*flow.steps, COMPLETE, *flow.undo, FAIL)]
    assert ran == declared
    assert set(ran) <= set(KINDS)


@pytest.mark.parametrize("name", FLOWS)
def test_only_what_polls_has_a_wait(name: str) -> None:
    flow = FLOWS[name]
    polling = [each for each in (*flow.steps, *flow.undo) if each.waits is Waits.POLL]
    waits = [state for state in states_of(name).values() if state["Type"] == "Wait"]
    assert len(waits) == len(polling)
