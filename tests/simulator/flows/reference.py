"""A second reading of the States Language, as short as it can be, to hold the interpreter against.

It takes one state after the other and adds up the time; what it knows of errors, retries and paths
is written from the language's specification and shares no code with the simulator.
"""

from __future__ import annotations

import copy
from collections import Counter
from typing import Any, NamedTuple

Definition = dict[str, Any]


class Result(NamedTuple):
    """What an execution comes to: states entered, status, output, error, seconds waited."""

    path: list[str]
    status: str
    output: Any
    error: str | None
    seconds: float


class Failed(Exception):
    """A task's failure."""


def evaluate(definition: Definition, document: Any) -> Result:
    """Run a machine of Task, Choice, Pass, Wait, Succeed and Fail states."""
    path: list[str] = []
    seconds = 0.0
    calls: Counter[str] = Counter()
    name = definition["StartAt"]
    while True:
        path.append(name)
        state = definition["States"][name]
        kind = state["Type"]
        if kind == "Succeed":
            return Result(path, "SUCCEEDED", document, None, seconds)
        if kind == "Fail":
            return Result(path, "FAILED", None, state["Error"], seconds)
        following = state.get("Next")
        if kind == "Wait":
            seconds += state["Seconds"]
        elif kind == "Pass":
            document = _placed(document, state, state["Result"])
        elif kind == "Choice":
            following = _chosen(document, state)
            if following is None:
                return Result(path, "FAILED", None, "States.NoChoiceMatched", seconds)
        else:
            error, result, spent = _task(state, calls)
            seconds += spent
            if error is None:
                document = _placed(document, state, result)
            else:
                catcher = _first(error, state.get("Catch", []))
                if catcher is None:
                    return Result(path, "FAILED", None, error, seconds)
                document = _placed(document, catcher, "an error")
                following = catcher["Next"]
        if following is None:
            return Result(path, "SUCCEEDED", document, None, seconds)
        name = following


def _task(state: Definition, calls: Counter[str]) -> tuple[str | None, Any, float]:
    """Attempts until one succeeds or no retry is left: error, result, seconds spent."""
    parameters = state["Parameters"]
    used: Counter[int] = Counter()
    spent = 0.0
    while True:
        script = parameters["script"]
        action, value = script[min(calls[parameters["key"]], len(script) - 1)]
        calls[parameters["key"]] += 1
        if action == "return":
            return None, value, spent
        error = value
        if action == "sleep":
            limit = state["TimeoutSeconds"]
            if value < limit:
                return None, None, spent + value
            spent += limit
            error = "States.Timeout"
        number = next(
            (n for n, each in enumerate(state.get("Retry", [])) if _matches(error, each)), None
        )
        if number is None:
            return error, None, spent
        policy = state["Retry"][number]
        if used[number] == policy["MaxAttempts"]:
            return error, None, spent
        pause = policy["IntervalSeconds"] * policy["BackoffRate"] ** used[number]
        spent += min(pause, policy.get("MaxDelaySeconds", pause))
        used[number] += 1


def _matches(error: str, entry: Definition) -> bool:
    for name in entry["ErrorEquals"]:
        if name in ("States.ALL", error) or (
            name == "States.TaskFailed" and error != "States.Timeout"
        ):
            return True
    return False


def _first(error: str, entries: list[Definition]) -> Definition | None:
    return next((entry for entry in entries if _matches(error, entry)), None)


def _placed(document: Any, state: Definition, result: Any) -> Any:
    """The raw input with a result where ResultPath wants it: `$`, null, or one field."""
    path = state.get("ResultPath", "$")
    if path is None:
        return document
    if path == "$":
        return result
    made = copy.deepcopy(document)
    made[path.removeprefix("$.")] = result
    return made


def _chosen(document: Any, state: Definition) -> str | None:
    for rule in state["Choices"]:
        if _holds(document, rule):
            return str(rule["Next"])
    return state.get("Default")


def _holds(document: Any, rule: Definition) -> bool:
    if "Not" in rule:
        return not _holds(document, rule["Not"])
    if "And" in rule:
        return all(_holds(document, each) for each in rule["And"])
    if "Or" in rule:
        return any(_holds(document, each) for each in rule["Or"])
    name = rule["Variable"].removeprefix("$.")
    if "IsPresent" in rule:
        return (name in document) is rule["IsPresent"]
    value = document[name]
    is_number = isinstance(value, int) and not isinstance(value, bool)
    if "NumericEquals" in rule:
        return is_number and bool(value == rule["NumericEquals"])
    if "NumericLessThan" in rule:
        return is_number and bool(value < rule["NumericLessThan"])
    return isinstance(value, str) and value == rule["StringEquals"]
