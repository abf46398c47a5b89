"""Executions in flight keep the definition they began with: its steps are still answered.

`last_release` holds the definitions as the last release deployed them. A release that renames a
step keeps the old name in `functions.handler`, and replaces these files by its own.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Final

import pytest

from functions import handler
from tests.support.stack import Stack
from tests.support.states import definition

WRITTEN: Final = {
    file.name.removesuffix(".asl.json"): json.loads(file.read_text())
    for file in (Path(__file__).parent / "last_release").glob("*.asl.json")
}
STEPS: Final = {"${TaskManagerCloudArn}": handler.CLOUD_STEPS} | {
    "${TaskManagerArn}": handler.LOCAL_STEPS
}


def test_the_last_release_had_flows() -> None:
    assert {"create_instance", "delete_instance"} <= set(WRITTEN)


@pytest.mark.parametrize("flow", WRITTEN)
def test_each_step_of_the_last_release_is_answered_where_it_was_sent(flow: str) -> None:
    for state in WRITTEN[flow]["States"].values():
        if state["Type"] == "Task":
            sent = state["Parameters"]
            called, payload = sent.get("FunctionName", state["Resource"]), sent.get("Payload", sent)
            assert payload["step"] in STEPS[called]


def test_an_execution_of_the_last_release_ends_on_the_present_handlers(
    stack: Stack, monkeypatch: pytest.MonkeyPatch
) -> None:
    def before(name: str) -> Any:
        return WRITTEN.get(name) or definition(name)

    monkeypatch.setattr("tests.support.states.definition", before)
    instance, _ = stack.create()
    stack.settle()
    stack.check()
    stack.delete(instance.id)
    stack.settle()
    stack.check()
