"""Definitions: the Amazon States Language as it is deployed, checked and compiled.

Whatever this interpreter does not know is refused here, with the state and the field named: a
field that is silently ignored would make the simulator lie.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from pathlib import Path as File
from typing import Any, Final

from simulator.aws.stepfunctions.choices import rule, timestamp
from simulator.aws.stepfunctions.faults import ALL, DefinitionError
from simulator.aws.stepfunctions.paths import Path, Template
from simulator.aws.stepfunctions.states import (
    DEFAULT_TASK_SECONDS,
    MOST_SECONDS,
    Catcher,
    Choice,
    Fail,
    Machine,
    Map,
    Parallel,
    Pass,
    Retrier,
    State,
    Task,
    Wait,
)

INVOKE: Final = "arn:aws:states:::lambda:invoke"
INVOKE_AND_WAIT: Final = f"{INVOKE}.waitForTaskToken"
_FUNCTION: Final = "arn:aws:lambda:"
NAME_LENGTH: Final = 80


def from_file(file: File, substitutions: Mapping[str, str]) -> Machine:
    """The machine of a deployed file, with `${Name}` substituted as CloudFormation does."""
    return from_text(file.read_text(), substitutions, where=file.name)


def from_text(text: str, substitutions: Mapping[str, str], where: str = "definition") -> Machine:
    """Compile a definition; DefinitionError names what is wrong or not supported."""

    def substitute(match: re.Match[str]) -> str:
        if match[1] not in substitutions:
            raise DefinitionError(f"{where}: nothing is substituted for ${{{match[1]}}}")
        return substitutions[match[1]]

    try:
        written = json.loads(re.sub(r"\$\{(\w+)\}", substitute, text))
    except ValueError as error:
        raise DefinitionError(f"{where}: not JSON: {error}") from None
    if not isinstance(written, dict):
        raise DefinitionError(f"{where}: a definition must be an object")
    return _machine(written, where, ("Version", "TimeoutSeconds"))


def _machine(written: dict[str, Any], where: str, more: tuple[str, ...] = ()) -> Machine:
    known = {"Comment", "StartAt", "States", "QueryLanguage", *more}
    _refuse_others(written, known, where)
    if written.get("QueryLanguage", "JSONPath") != "JSONPath":
        raise DefinitionError(f"{where}: only the query language JSONPath is supported")
    if written.get("Version", "1.0") != "1.0":
        raise DefinitionError(f"{where}: Version must be '1.0'")
    states = written.get("States")
    if not isinstance(states, dict) or not states:
        raise DefinitionError(f"{where}: States must be an object that is not empty")
    machine = Machine(str(written.get("StartAt")))
    if "TimeoutSeconds" in written:
        machine.timeout_seconds = _number(written, "TimeoutSeconds", where, least=1)
    for name, state in states.items():
        machine.states[name] = _state(name, state, f"{where}: state {name!r}")
    for target in _targets(machine):
        if target not in machine.states:
            raise DefinitionError(f"{where}: there is no state {target!r}")
    return machine


def _targets(machine: Machine) -> list[str]:
    targets = [machine.start_at]
    for state in machine.states.values():
        targets.extend(catcher.following for catcher in state.catchers)
        if state.following is not None:
            targets.append(state.following)
        if isinstance(state, Choice):
            targets.extend(target for _, target in state.rules)
            if state.default is not None:
                targets.append(state.default)
    return targets


def _refuse_others(written: Mapping[str, Any], known: set[str], where: str) -> None:
    others = sorted(set(written) - known)
    if others:
        raise DefinitionError(f"{where}: the field {others[0]!r} is not supported")


def _number(
    written: Mapping[str, Any], name: str, where: str, least: float, default: Any = None
) -> float:
    value = written.get(name, default)
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise DefinitionError(f"{where}: {name} must be a number, not {value!r}")
    if not least <= value <= MOST_SECONDS:
        raise DefinitionError(f"{where}: {name} must be between {least} and {MOST_SECONDS}")
    return value


def _whole_number(
    written: Mapping[str, Any], name: str, where: str, least: int, default: Any = None
) -> int:
    value = _number(written, name, where, least, default)
    if not isinstance(value, int):
        raise DefinitionError(f"{where}: {name} must be a whole number, not {value!r}")
    return value


# -------------------------------------------------------------------------- types of states

_COMMON: Final = {"Type", "Comment", "QueryLanguage"}
_PATHS: Final = {"InputPath", "OutputPath"}
_FLOW: Final = {"Next", "End"}
_RESULT: Final = {"Parameters", "ResultSelector", "ResultPath", "Retry", "Catch"}
_FIELDS: Final = {
    "Task": _PATHS | _FLOW | _RESULT
    | {
        *("Resource", "TimeoutSeconds", "TimeoutSecondsPath"),
        *("HeartbeatSeconds", "HeartbeatSecondsPath"),
    },
    "Choice": _PATHS | {"Choices", "Default"},
    "Wait": _PATHS | _FLOW | {"Seconds", "SecondsPath", "Timestamp", "TimestampPath"},
    "Pass": _PATHS | _FLOW | {"Parameters", "ResultPath", "Result"},
    "Succeed": _PATHS,
    "Fail": {"Error", "ErrorPath", "Cause", "CausePath"},
    "Parallel": _PATHS | _FLOW | _RESULT | {"Branches"},
    "Map": _PATHS | _FLOW | _RESULT
    | {"ItemsPath", "ItemSelector", "ItemProcessor", "Iterator", "MaxConcurrency"},
}  # fmt: skip


def _state(name: str, written: Any, where: str) -> State:
    if not isinstance(written, dict) or written.get("Type") not in _FIELDS:
        raise DefinitionError(f"{where}: the type must be one of {', '.join(_FIELDS)}")
    if len(name) > NAME_LENGTH:
        raise DefinitionError(f"{where}: the name is longer than {NAME_LENGTH} characters")
    kind = written["Type"]
    _refuse_others(written, _COMMON | _FIELDS[kind], where)
    if written.get("QueryLanguage", "JSONPath") != "JSONPath":
        raise DefinitionError(f"{where}: only the query language JSONPath is supported")
    try:
        return _BUILDERS[kind](name, written, where)
    except DefinitionError as error:
        if str(error).startswith(where.partition(":")[0]):
            raise
        raise DefinitionError(f"{where}: {error}") from None


def _shared(name: str, written: dict[str, Any], where: str) -> dict[str, Any]:
    """The arguments that all states have in common."""
    shared: dict[str, Any] = {"name": name, "type": written["Type"]}
    for key, argument in (("InputPath", "input_path"), ("OutputPath", "output_path")):
        if key in written:
            shared[argument] = None if written[key] is None else Path(written[key])
    if "ResultPath" in written:
        shared["result_path"] = _result_path(written)
    for key, argument in (("Parameters", "parameters"), ("ResultSelector", "result_selector")):
        if key in written:
            shared[argument] = Template(written[key])
    if "Retry" in written:
        shared["retriers"] = _retriers(written["Retry"], where)
    if "Catch" in written:
        shared["catchers"] = _catchers(written["Catch"], where)
    if "Next" in _FIELDS[written["Type"]]:
        if ("Next" in written) == (written.get("End") is True):
            raise DefinitionError(f"{where}: needs either Next or End")
        shared["following"] = written.get("Next")
    return shared


def _result_path(written: dict[str, Any]) -> Path | None:
    if written["ResultPath"] is None:
        return None
    return Path(written["ResultPath"], context_allowed=False)


def _one_of(written: dict[str, Any], names: tuple[str, ...], where: str) -> str | None:
    found = [name for name in names if name in written]
    if len(found) > 1:
        raise DefinitionError(f"{where}: {' and '.join(found)} exclude each other")
    return found[0] if found else None


def _seconds(written: dict[str, Any], name: str, where: str, least: float) -> float | Path | None:
    found = _one_of(written, (name, f"{name}Path"), where)
    if found is None:
        return None
    return (
        _whole_number(written, name, where, int(least)) if found == name else Path(written[found])
    )


def _task(name: str, written: dict[str, Any], where: str) -> State:
    resource = written.get("Resource")
    if resource not in (INVOKE, INVOKE_AND_WAIT) and not str(resource).startswith(_FUNCTION):
        raise DefinitionError(f"{where}: the resource {resource!r} is not supported")
    if str(resource).startswith(INVOKE):
        parameters = written.get("Parameters")
        if not isinstance(parameters, dict):
            raise DefinitionError(f"{where}: {resource} needs Parameters")
        known = {"FunctionName", "FunctionName.$", "Payload", "Payload.$", "InvocationType"}
        _refuse_others(parameters, known, f"{where}: Parameters")
        if parameters.get("InvocationType", "RequestResponse") != "RequestResponse":
            raise DefinitionError(f"{where}: InvocationType must be RequestResponse")
        if "FunctionName" not in parameters and "FunctionName.$" not in parameters:
            raise DefinitionError(f"{where}: Parameters need a FunctionName")
    task = Task(**_shared(name, written, where), resource=str(resource))
    timeout = _seconds(written, "TimeoutSeconds", where, 1)
    task.timeout_seconds = DEFAULT_TASK_SECONDS if timeout is None else timeout
    task.heartbeat_seconds = heartbeat = _seconds(written, "HeartbeatSeconds", where, 1)
    if _known(heartbeat) and 0 < _known(task.timeout_seconds) <= _known(heartbeat):
        raise DefinitionError(f"{where}: HeartbeatSeconds must be less than TimeoutSeconds")
    return task


def _known(seconds: float | Path | None) -> float:
    return seconds if isinstance(seconds, int | float) else 0


def _choice(name: str, written: dict[str, Any], where: str) -> State:
    choices = written.get("Choices")
    if not isinstance(choices, list) or not choices:
        raise DefinitionError(f"{where}: Choices must be a list that is not empty")
    rules = []
    for choice in choices:
        if not isinstance(choice, dict) or not isinstance(choice.get("Next"), str):
            raise DefinitionError(f"{where}: each of the Choices needs a Next")
        rules.append((rule(choice, ignored=("Next", "Comment")), choice["Next"]))
    return Choice(
        **_shared(name, written, where), rules=tuple(rules), default=written.get("Default")
    )


def _wait(name: str, written: dict[str, Any], where: str) -> State:
    ways = ("Seconds", "SecondsPath", "Timestamp", "TimestampPath")
    way = _one_of(written, ways, where)
    if way is None:
        raise DefinitionError(f"{where}: needs one of {', '.join(ways)}")
    wait = Wait(**_shared(name, written, where))
    if way.startswith("Seconds"):
        wait.seconds = _seconds(written, "Seconds", where, 0)
    elif way == "TimestampPath":
        wait.until = Path(written[way])
    else:
        when = timestamp(written[way])
        if when is None:
            raise DefinitionError(f"{where}: {written[way]!r} is not a timestamp")
        wait.until = when.timestamp()
    return wait


def _pass(name: str, written: dict[str, Any], where: str) -> State:
    result = (written["Result"],) if "Result" in written else ()
    return Pass(**_shared(name, written, where), result=result)


def _succeed(name: str, written: dict[str, Any], where: str) -> State:
    return State(**_shared(name, written, where))


def _fail(name: str, written: dict[str, Any], where: str) -> State:
    fail = Fail(**_shared(name, written, where))
    fail.error = _told(written, "Error", where)
    fail.cause = _told(written, "Cause", where)
    return fail


def _told(written: dict[str, Any], key: str, where: str) -> str | Path:
    found = _one_of(written, (key, f"{key}Path"), where)
    value = "" if found is None else written[found]
    if not isinstance(value, str):
        raise DefinitionError(f"{where}: {found} must be a text")
    return Path(value) if found == f"{key}Path" else value


def _parallel(name: str, written: dict[str, Any], where: str) -> State:
    branches = written.get("Branches")
    if not isinstance(branches, list) or not branches:
        raise DefinitionError(f"{where}: Branches must be a list that is not empty")
    machines = tuple(
        _machine(branch, f"{where}, branch {number}") for number, branch in enumerate(branches)
    )
    return Parallel(**_shared(name, written, where), branches=machines)


def _map(name: str, written: dict[str, Any], where: str) -> State:
    found = _one_of(written, ("ItemProcessor", "Iterator"), where)
    if found is None or not isinstance(written[found], dict):
        raise DefinitionError(f"{where}: needs an ItemProcessor")
    processor = dict(written[found])
    configuration = processor.pop("ProcessorConfig", {"Mode": "INLINE"})
    if configuration != {"Mode": "INLINE"}:
        raise DefinitionError(f"{where}: only the mode INLINE is supported")
    selector = _one_of(written, ("ItemSelector", "Parameters"), where)
    plain = {key: value for key, value in written.items() if key != "Parameters"}
    return Map(
        **_shared(name, plain, where),
        parameters=None if selector is None else Template(written[selector]),
        items_path=Path(written.get("ItemsPath", "$")),
        processor=_machine(processor, f"{where}, {found}"),
        most_running=_whole_number(written, "MaxConcurrency", where, 0, 0),
    )


_BUILDERS: Final[dict[str, Callable[[str, dict[str, Any], str], State]]] = {
    "Task": _task,
    "Choice": _choice,
    "Wait": _wait,
    "Pass": _pass,
    "Succeed": _succeed,
    "Fail": _fail,
    "Parallel": _parallel,
    "Map": _map,
}


def _names(written: Any, where: str, last: bool) -> tuple[str, ...]:
    names = written.get("ErrorEquals") if isinstance(written, dict) else None
    if not isinstance(names, list) or not names or not all(isinstance(n, str) for n in names):
        raise DefinitionError(f"{where}: ErrorEquals must be a list of names")
    if ALL in names and (len(names) > 1 or not last):
        raise DefinitionError(f"{where}: {ALL} must stand alone, and last")
    return tuple(names)


def _retriers(written: Any, where: str) -> tuple[Retrier, ...]:
    if not isinstance(written, list):
        raise DefinitionError(f"{where}: Retry must be a list")
    known = {
        *("ErrorEquals", "IntervalSeconds", "BackoffRate", "MaxAttempts"),
        *("MaxDelaySeconds", "JitterStrategy", "Comment"),
    }
    made = []
    for number, each in enumerate(written):
        names = _names(each, where, last=number == len(written) - 1)
        _refuse_others(each, known, f"{where}: Retry")
        jitter = each.get("JitterStrategy", "NONE")
        if jitter not in ("NONE", "FULL"):
            raise DefinitionError(f"{where}: JitterStrategy must be FULL or NONE, not {jitter!r}")
        retrier = Retrier(
            names,
            interval_seconds=_whole_number(each, "IntervalSeconds", where, 1, 1),
            backoff=_number(each, "BackoffRate", where, 1.0, 2.0),
            attempts=_whole_number(each, "MaxAttempts", where, 0, 3),
            jitter=jitter == "FULL",
        )
        if "MaxDelaySeconds" in each:
            retrier.most_seconds = _whole_number(each, "MaxDelaySeconds", where, 1)
            if retrier.most_seconds <= retrier.interval_seconds:
                raise DefinitionError(f"{where}: MaxDelaySeconds must exceed IntervalSeconds")
        made.append(retrier)
    return tuple(made)


def _catchers(written: Any, where: str) -> tuple[Catcher, ...]:
    if not isinstance(written, list):
        raise DefinitionError(f"{where}: Catch must be a list")
    made = []
    for number, each in enumerate(written):
        names = _names(each, where, last=number == len(written) - 1)
        _refuse_others(each, {"ErrorEquals", "Next", "ResultPath", "Comment"}, f"{where}: Catch")
        catcher = Catcher(names, str(each.get("Next")))
        if "ResultPath" in each:
            catcher.result_path = _result_path(each)
        made.append(catcher)
    return tuple(made)
