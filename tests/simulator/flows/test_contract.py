"""The interpreter and an emulator run the same definitions and the same function alike."""

from __future__ import annotations

import json
from typing import Any

import pytest

from infra.package.state_machines import rendered
from tests.simulator.flows.cases import CASES, Outcome
from tests.simulator.flows.emulator import Emulator, outcome
from tests.simulator.flows.flows import FUNCTION, Flows


def definition(name: str) -> str:
    """The definition of a case as text, with the scripted function in it."""
    written = CASES[name].definition
    if not isinstance(written, str):
        return json.dumps(written)
    text = rendered()[written]
    for placeholder in ("TaskManagerArn", "TaskManagerCloudArn"):
        text = text.replace(f"${{{placeholder}}}", FUNCTION)
    return text


@pytest.fixture(scope="module")
def emulated(
    ministack: dict[str, Any], tmp_path_factory: pytest.TempPathFactory
) -> dict[str, Outcome]:
    """How all cases went on the emulator."""
    emulator = Emulator(ministack, tmp_path_factory.mktemp("counts"))
    return emulator.run(CASES, {name: definition(name) for name in CASES})


def simulated(flows: Flows, name: str) -> Outcome:
    """How a case goes here. Only the outer states: an emulator may not tell those of branches."""
    document = CASES[name].document
    arn = flows.service.create(name, definition(name))
    started = flows.client.start_execution(
        stateMachineArn=arn, name=name, input=json.dumps({} if document is None else document)
    )["executionArn"]
    flows.run(3600)
    told = flows.client.describe_execution(executionArn=started)
    return outcome(told, flows.history(started))


def comparable(name: str, gone: Outcome) -> Outcome:
    """Without the states of branches, and without the class of a function's exception.

    The emulator's worker loses that class; what is left is the name of one handler's error.
    """
    outer = json.loads(definition(name))["States"]
    path = tuple(state for state in gone.path if state in outer)
    error = gone.error
    if error in ("Odd", "Runtime.HandlerError"):
        error = "of the function"
    return Outcome(path, gone.status, gone.output, error)


@pytest.mark.parametrize("name", CASES)
def test_the_same_states_outputs_and_errors(
    flows: Flows, emulated: dict[str, Outcome], name: str
) -> None:
    here = comparable(name, simulated(flows, name))
    there = comparable(name, emulated[name])
    assert there == (CASES[name].emulator or here)
