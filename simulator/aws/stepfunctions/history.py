"""The history of an execution in the shape of `GetExecutionHistory`."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

from simulator.aws.stepfunctions.execution import Happened


def event(number: int, happened: Happened, *, with_data: bool) -> dict[str, Any]:
    """One event. Events of parallel branches name the event before them, not their own branch's."""
    when, kind, name, detail = happened
    made: dict[str, Any] = {
        "id": number,
        "previousEventId": number - 1,
        "timestamp": datetime.fromtimestamp(when, UTC),
        "type": kind,
    }
    details = _details(kind, name, detail, with_data)
    if details:
        made[_key(kind)] = details
    return made


def _key(kind: str) -> str:
    for common in ("StateEntered", "StateExited"):
        if kind.endswith(common):
            kind = common
    return f"{kind[0].lower()}{kind[1:]}EventDetails"


def _details(kind: str, name: str, detail: Any, with_data: bool) -> dict[str, Any]:
    if kind.endswith(("Failed", "TimedOut", "Aborted")):
        return {key: value for key, value in (("error", name), ("cause", detail)) if value}
    details: dict[str, Any] = {}
    if kind.endswith(("StateEntered", "StateExited")):
        details["name"] = name
    elif kind.endswith("Scheduled"):
        details["resource"] = name
    data = {"Entered": "input", "Exited": "output", "Succeeded": "output", "Started": "input"}
    for ending, key in {**data, "Scheduled": "input"}.items():
        if with_data and kind.endswith(ending) and detail is not None:
            details[key] = detail if isinstance(detail, str) else json.dumps(detail)
    return details
