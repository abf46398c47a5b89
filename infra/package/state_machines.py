"""State machines in the Amazon States Language, rendered from `chalicelib.domain.flows`.

A step is a Task and the Choice on its outcome (`functions.outcomes.as_result`), with a Wait beside
it when it polls. Decision 14 says why each flow has a machine of its own.

Only an outcome leads anywhere. An error is tried again for minutes; after that the execution fails
and the sweeper's next attempt goes on from the operation's row (decision 15): no error, however
long it lasts, takes back what was made.
"""

import json
from typing import Any, Final

from chalicelib.domain.flows import COMPLETE, FAIL, FLOWS, LOOK, Flow, Runs, Step, Waits

State = dict[str, Any]

FUNCTIONS: Final = {Runs.CLOUD: "${TaskManagerCloudArn}", Runs.LOCAL: "${TaskManagerArn}"}
TASK_SECONDS: Final = 30
"""Longer than the function's own timeout, so that its end is always seen first."""
GUEST_SECONDS: Final = 86400
"""More than any deadline: the sweeper wakes what waits past it."""
RETRY: Final[State] = {
    "IntervalSeconds": 1,
    "BackoffRate": 2,
    "MaxDelaySeconds": 30,
    "MaxAttempts": 60,
    "JitterStrategy": "FULL",
}
"""A quarter of an hour on average. Jitter spreads what an outage has piled up."""


def rendered() -> dict[str, str]:
    """Each definition as text, by its flow's name, and the look; ARNs are put in later."""
    machines = {**{name: render(flow) for name, flow in FLOWS.items()}, LOOK: look()}
    return {name: json.dumps(each, separators=(",", ":")) for name, each in machines.items()}


def look() -> State:
    """The machine that looks at a server once: the sweeper has no other way to the cloud."""
    return {
        "Comment": "Looks whether the server is there whose guest a step has waited for so long.",
        "StartAt": "Look",
        "States": {
            "Look": {
                "Type": "Task",
                "Resource": FUNCTIONS[Runs.CLOUD],
                "Parameters": {"step": LOOK, "operation_id.$": "$.operation_id"},
                "TimeoutSeconds": TASK_SECONDS,
                "Retry": [{"ErrorEquals": ["States.TaskFailed"]} | RETRY | {"MaxAttempts": 3}],
                "End": True,
            }
        },
    }


def render(flow: Flow) -> State:
    """The definition of one flow."""
    forward = [each.name for each in flow.steps] + [COMPLETE.name]
    backward = [each.name for each in flow.undo] + [FAIL.name]
    back = _state_name(backward[0])
    states: dict[str, State] = {}
    for step, following in zip(flow.steps, forward[1:], strict=True):
        states |= _step(flow, step, _state_name(following), instead=back)
    states |= _step(flow, COMPLETE, "Completed", instead=back)
    states["Completed"] = {"Type": "Succeed"}
    for step, following in zip(flow.undo, backward[1:], strict=True):
        states |= _step(flow, step, _state_name(following), instead=_state_name(following))
    states["Fail"] = _task(flow, FAIL) | {"Next": "Failed"}
    states["Failed"] = {
        "Type": "Fail",
        "Error": flow.error,
        "Cause": "The operation's row tells the reason.",
    }
    return {"Comment": flow.comment, "StartAt": _state_name(forward[0]), "States": states}


def _step(flow: Flow, step: Step, following: str, *, instead: str) -> dict[str, State]:
    """The states of a step; `instead` is where its failure leads."""
    name = _state_name(step.name)
    states = {
        name: _task(flow, step) | {"Next": f"{name}Outcome"},
        f"{name}Outcome": {"Type": "Choice", "Choices": [_when("done", following)]},
    }
    if step.waits is Waits.POLL:
        states[f"{name}Outcome"]["Choices"].append(_when("wait", f"{name}Wait"))
        states[f"{name}Wait"] = {
            "Type": "Wait",
            "SecondsPath": "$.result.seconds",
            "Next": name,
        }
    states[f"{name}Outcome"]["Default"] = instead
    return states


def _task(flow: Flow, step: Step) -> State:
    payload = {"step": flow.path(step), "operation_id.$": "$.operation_id"}
    if step.waits is Waits.GUEST:
        called: State = {
            "Type": "Task",
            "Comment": "Waits for the guest agent's answer; the conductor completes the token.",
            "Resource": "arn:aws:states:::lambda:invoke.waitForTaskToken",
            "Parameters": {
                "FunctionName": FUNCTIONS[step.runs],
                "Payload": payload | {"token.$": "$$.Task.Token"},
            },
        }
    else:
        called = {"Type": "Task", "Resource": FUNCTIONS[step.runs], "Parameters": payload}
    guest = step.waits is Waits.GUEST
    retried = ["States.TaskFailed"] if guest else ["States.TaskFailed", "States.Timeout"]
    return called | {
        "ResultPath": "$.result",
        "TimeoutSeconds": GUEST_SECONDS if guest else TASK_SECONDS,
        "Retry": [{"ErrorEquals": retried} | RETRY],
    }


def _when(outcome: str, following: str) -> State:
    return {"Variable": "$.result.outcome", "StringEquals": outcome, "Next": following}


def _state_name(step: str) -> str:
    """`message_queue` is `MessageQueue`."""
    return "".join(word.title() for word in step.split("_"))
