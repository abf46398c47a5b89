"""The context object: what a path that begins with `$$` can name."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

from simulator.aws.stepfunctions.execution import Frame


def context_object(frame: Frame, token: str) -> dict[str, Any]:
    execution = frame.execution
    context: dict[str, Any] = {
        "Execution": {
            "Id": execution.arn,
            "Input": json.loads(execution.input),
            "Name": execution.name,
            "StartTime": _iso(execution.started),
        },
        "State": {
            "EnteredTime": _iso(frame.entered),
            "Name": frame.state.name,
            "RetryCount": frame.retries,
        },
        "StateMachine": {
            "Id": execution.machine_arn,
            "Name": execution.machine_arn.rsplit(":", 1)[1],
        },
    }
    if token:
        context["Task"] = {"Token": token}
    inner: Frame | None = frame
    while inner is not None and not inner.item:
        inner = inner.parent
    if inner is not None:
        context["Map"] = {"Item": {"Index": inner.index, "Value": inner.item[0]}}
    return context


def _iso(when: float) -> str:
    return datetime.fromtimestamp(when, UTC).isoformat(timespec="milliseconds")[:-6] + "Z"
