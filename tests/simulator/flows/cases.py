"""Definitions and scripts that run on the simulator and on an emulator alike.

What AWS documents stands in the simulator; where the emulator differs from that, the case says
what the emulator makes of it, and `docs/simulator/differences.md` tells why.
"""

from __future__ import annotations

import json
from typing import Any, Final, NamedTuple

from tests.simulator.flows.flows import FUNCTION, INVOKE, Definition, machine, only, task, waiting


class Outcome(NamedTuple):
    """How an execution went: the states it entered, how it ended, its output, its error."""

    path: tuple[str, ...]
    status: str
    output: Any = None
    error: str | None = None


class Case(NamedTuple):
    """A definition, or the name of a shipped flow; `emulator` where the emulator differs."""

    definition: Definition | str
    document: Any = None
    emulator: Outcome | None = None


TIMED_OUT_AT_WORK: Final = Outcome(("Work",), "FAILED", None, "States.Timeout")
RETRY: Final[list[Any]] = [
    {"ErrorEquals": ["States.TaskFailed"], "IntervalSeconds": 1, "MaxAttempts": 2}
]


def flow(**scripts: list[Any]) -> dict[str, str]:
    """The input of a shipped flow whose steps follow scripts."""
    named = {name.replace("__", "."): script for name, script in scripts.items()}
    return {"operation_id": f"op:{json.dumps(named)}"}


def caught(state: Definition, *names: str, **more: Any) -> Definition:
    """A state with a Catch, and where it leads."""
    catch = [{"ErrorEquals": list(names), "Next": "Caught", **more}]
    return machine(Work=state | {"Catch": catch}, Caught={"Type": "Succeed"})


def choose(rule: Any) -> Definition:
    """A Choice of one rule."""
    return machine(
        Choose={"Type": "Choice", "Choices": [{**rule, "Next": "Yes"}], "Default": "No"},
        Yes={"Type": "Succeed"},
        No={"Type": "Fail", "Error": "No", "Cause": "no rule matched"},
    )


BRANCHES: Final = [
    machine(Left={"Type": "Pass", "Result": 1, "End": True}),
    machine(Right={"Type": "Wait", "Seconds": 1, "End": True}),
]
BAD_BRANCH: Final = machine(Bad={"Type": "Fail", "Error": "Bad", "Cause": "so"})
WAITS: Final = [["return", {"outcome": "wait", "seconds": 1}], ["return", {"outcome": "done"}]]
FAILED: Final = [["return", {"outcome": "failed"}]]
RAISED: Final = [["raise", "Odd"]]

CASES: Final = {
    "paths": Case(
        only(
            {
                "Type": "Task",
                "Resource": FUNCTION,
                "InputPath": "$.a",
                "Parameters": {"x.$": "$.list[1]", "fixed": {"y.$": "$"}, "l": [1]},
                "ResultSelector": {"got.$": "$.x"},
                "ResultPath": "$.deep.result",
                "OutputPath": "$.deep",
            }
        ),
        {"a": {"list": [1, 2]}, "deep": {"kept": True}},
    ),
    "null-paths": Case(only({"Type": "Pass", "InputPath": None, "ResultPath": "$.r"}), {"a": 1}),
    "discarded": Case(only(task([["return", 5]], key="discarded", ResultPath=None)), {"a": 1}),
    "invoke": Case(
        only(
            {
                "Type": "Task",
                "Resource": INVOKE,
                "Parameters": {"FunctionName": FUNCTION, "Payload": {"a.$": "$.a"}},
                "ResultSelector": {"p.$": "$.Payload", "s.$": "$.StatusCode"},
            }
        ),
        {"a": 1},
    ),
    "context": Case(
        only({"Type": "Pass", "Parameters": {"i.$": "$$.Execution.Input"}}),
        {"a": 1},
    ),
    "numeric": Case(choose({"Variable": "$.n", "NumericGreaterThanEquals": 5}), {"n": 5}),
    "wrong-kind": Case(choose({"Variable": "$.n", "StringEquals": "5"}), {"n": 5}),
    "present": Case(choose({"Not": {"Variable": "$.n.a", "IsPresent": True}}), {"n": {}}),
    "matches": Case(choose({"Variable": "$.s", "StringMatches": "a*c"}), {"s": "abc"}),
    "and-or": Case(
        choose(
            {
                "And": [
                    {"Variable": "$.a", "BooleanEquals": True},
                    {
                        "Or": [
                            {"Variable": "$.b", "IsNull": True},
                            {"Variable": "$.a", "IsNull": True},
                        ]
                    },
                ]
            }
        ),
        {"a": True, "b": None},
    ),
    "timestamp": Case(
        choose({"Variable": "$.t", "TimestampEquals": "2026-01-01T01:00:00+01:00"}),
        {"t": "2026-01-01T00:00:00Z"},
    ),
    "no-choice": Case(
        machine(
            Choose={
                "Type": "Choice",
                "Choices": [{"Variable": "$.a", "IsNull": True, "Next": "E"}],
            },
            E={"Type": "Succeed"},
        ),
        {"a": 1},
    ),
    "missing-variable": Case(
        choose({"Variable": "$.gone", "NumericEquals": 1}),
        {"a": 1},
        emulator=Outcome(("Choose", "No"), "FAILED", None, "No"),
    ),
    "missing-parameter": Case(
        only(task(Parameters={"x.$": "$.gone"})),
        {"a": 1},
        emulator=Outcome(("Only",), "SUCCEEDED", {"x": None}),
    ),
    "result-path": Case(
        only({"Type": "Pass", "Result": 1, "ResultPath": "$.a.b"}),
        {"a": 1},
        emulator=Outcome(("Only",), "SUCCEEDED", {"a": {"b": 1}}),
    ),
    "retried": Case(
        only(task([["raise", "Odd"], ["raise", "Odd"], ["return", 1]], key="retried", Retry=RETRY))
    ),
    "exhausted": Case(
        caught(task(RAISED, key="exhausted", Retry=RETRY), "States.ALL", ResultPath=None), {"a": 1}
    ),
    "not-passed-over": Case(
        only(
            task(
                [["raise", "Odd"], ["return", 1]],
                key="not-passed-over",
                Retry=[
                    {"ErrorEquals": ["States.TaskFailed"], "MaxAttempts": 0},
                    {"ErrorEquals": ["States.ALL"]},
                ],
            )
        )
    ),
    "timeout": Case(
        caught(
            task([["sleep", 3]], key="timeout", TimeoutSeconds=1), "States.Timeout", ResultPath=None
        ),
        {},
    ),
    "timeout-is-no-failure": Case(
        caught(task([["sleep", 3]], key="t-no-f", TimeoutSeconds=1), "States.TaskFailed")
    ),
    "crash": Case(caught(task([["exit", None]], key="crash"), "States.ALL", ResultPath=None), {}),
    "token": Case(only(waiting([["answer", {"a": 1}]], key="token", ResultPath="$.r")), {"b": 2}),
    "token-failed": Case(
        caught(waiting([["fail", "Mine"]], key="t-failed"), "Mine", ResultPath="$.e"), {"a": 1}
    ),
    "token-function-raised": Case(
        caught(
            waiting(RAISED, key="t-raised", TimeoutSeconds=2), "States.TaskFailed", ResultPath=None
        ),
        {},
        emulator=TIMED_OUT_AT_WORK,
    ),
    "token-timeout": Case(
        caught(
            waiting([["return", 1]], key="t-timeout", TimeoutSeconds=1),
            *("States.Timeout",),
            ResultPath=None,
        ),
        {},
    ),
    "token-heartbeat": Case(
        caught(
            waiting([["return", 1]], key="t-heart", TimeoutSeconds=3, HeartbeatSeconds=1),
            *("States.HeartbeatTimeout",),
            ResultPath=None,
        ),
        {},
        emulator=TIMED_OUT_AT_WORK,
    ),
    "machine-timeout": Case(
        only({"Type": "Wait", "Seconds": 2}) | {"TimeoutSeconds": 1},
        emulator=Outcome(("Only",), "SUCCEEDED", {}),
    ),
    "parallel": Case(
        only({"Type": "Parallel", "Branches": BRANCHES, "ResultPath": "$.r"}), {"a": 1}
    ),
    "parallel-caught": Case(
        caught({"Type": "Parallel", "Branches": [*BRANCHES, BAD_BRANCH], "End": True}, "Bad"), {}
    ),
    "map": Case(
        only(
            {
                "Type": "Map",
                "ItemsPath": "$.items",
                "ItemSelector": {
                    "i.$": "$$.Map.Item.Index",
                    "v.$": "$$.Map.Item.Value",
                    "k.$": "$.k",
                },
                "MaxConcurrency": 2,
                "ItemProcessor": machine(Each={"Type": "Succeed"}),
            }
        ),
        {"items": [5, 6, 7], "k": 1},
    ),
    "map-of-nothing": Case(
        only({"Type": "Map", "ItemProcessor": machine(E={"Type": "Succeed"})}), []
    ),
    "too-large": Case(
        only(task([["large", 262_143]], key="large")),
        emulator=Outcome(("Only",), "SUCCEEDED", "x" * 262_143),
    ),
    "created": Case("create_instance", flow()),
    "created-with-waits": Case(
        "create_instance",
        flow(create_instance__server=WAITS, create_instance__volume=[*RAISED, *WAITS]),
    ),
    "create-failed-at-the-network": Case(
        "create_instance", flow(create_instance__network=FAILED, remove_volume=WAITS)
    ),
    "create-failed-in-the-guest": Case(
        "create_instance", flow(create_instance__prepare=[["answer", {"outcome": "failed"}]])
    ),
    "create-failed-by-token": Case(
        "create_instance",
        flow(create_instance__prepare=[["fail", "Odd"], ["answer", {"outcome": "done"}]]),
    ),
    "deleted": Case("delete_instance", flow(remove_server=WAITS)),
    "delete-failed": Case("delete_instance", flow(remove_volume=FAILED)),
}
