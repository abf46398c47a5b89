"""A function that does what its event says: the same on the simulator and on an emulator.

An event names a script by `key`: a list of actions, of which the n-th call does the n-th (the last
one for good). An event of a shipped flow carries the scripts of its steps in the operation's id.
This file is deployed as it stands, so it imports nothing of the project.
"""

from __future__ import annotations

import json
from typing import Any, Protocol


class Surroundings(Protocol):
    """What differs between the places a function runs in."""

    def count(self, key: str) -> int:
        """How many calls that key has had before this one."""

    def sleep(self, seconds: float) -> None:
        """Wait."""

    def leave(self) -> None:
        """End the process."""

    def answer(self, token: str, output: Any) -> None:
        """Complete a task token."""

    def fail(self, token: str, error: str) -> None:
        """Fail a task token."""


def run(event: dict[str, Any], surroundings: Surroundings) -> Any:
    """Do the action whose turn it is."""
    script, key = event.get("script"), event.get("key", "")
    if "operation_id" in event:
        key = f"{event['operation_id']}/{event['step']}"
        scripts = json.loads(event["operation_id"].partition(":")[2])
        usual = [["answer" if "token" in event else "return", {"outcome": "done"}]]
        script = scripts.get(event["step"], usual)
    if script is None:
        return event
    action, value = script[min(surroundings.count(key), len(script) - 1)]
    if action == "raise":
        raise type(value, (Exception,), {})("as the script says")
    if action == "exit":
        surroundings.leave()
    elif action == "sleep":
        surroundings.sleep(value)
    elif action == "answer":
        surroundings.answer(event["token"], value)
    elif action == "fail":
        surroundings.fail(event["token"], value)
    elif action == "large":
        return "x" * value
    elif action == "return":
        return value
    return None
