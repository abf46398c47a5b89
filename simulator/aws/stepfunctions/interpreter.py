"""The interpreter: moves executions from state to state when something happens to them.

Nothing runs while an execution waits: it is a few objects and, where a time bounds the wait, one
event of the kernel that knows it by a number.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from datetime import UTC, datetime
from functools import partial
from typing import Any, Final

from simulator.aws.lambda_ import Answer, Lambda
from simulator.aws.stepfunctions import faults
from simulator.aws.stepfunctions.choices import timestamp
from simulator.aws.stepfunctions.definition import INVOKE, INVOKE_AND_WAIT
from simulator.aws.stepfunctions.execution import (
    FAILED,
    MOST_HISTORY_EVENTS,
    RUNNING,
    SUCCEEDED,
    TIMED_OUT,
    Execution,
    Frame,
)
from simulator.aws.stepfunctions.faults import HistoryFull, StateError
from simulator.aws.stepfunctions.paths import Context, MissingPath, Path, Template
from simulator.aws.stepfunctions.states import (
    MOST_SECONDS,
    Catcher,
    Choice,
    Fail,
    Machine,
    Map,
    Parallel,
    Pass,
    State,
    Task,
    Wait,
)
from simulator.kernel import Kernel

PAYLOAD_BYTES: Final = 256 * 1024
TRANSITION_SECONDS: Final = 0.025
"""From the moment a task is scheduled to the moment its function is invoked."""


class Waiting:
    """What a frame waits for: a pause, a task's answer, or a token."""

    __slots__ = ("beaten", "frame", "heartbeat_seconds", "number", "token")

    def __init__(self, number: int, frame: Frame) -> None:
        self.number = number
        self.frame = frame
        self.token = ""
        self.heartbeat_seconds = 0.0
        self.beaten = 0.0


class Interpreter:
    """Runs executions on the kernel's clock. `closed` is told of each that ends."""

    def __init__(
        self, kernel: Kernel, lambda_: Lambda, closed: Callable[[Execution], None]
    ) -> None:
        self._kernel = kernel
        self._lambda = lambda_
        self._closed = closed
        self._chance = kernel.stream("stepfunctions")
        self._waiting: dict[int, Waiting] = {}
        self._last_wait = 0
        self._perform: dict[str, Callable[[Frame, Any], bool]] = {
            "Task": self._task,
            "Choice": self._choose,
            "Wait": self._wait,
            "Pass": self._pass,
            "Succeed": self._succeed,
            "Fail": self._fail_state,
            "Parallel": self._parallel,
            "Map": self._map,
        }

    # ---------------------------------------------------------------------- from outside

    def start(self, execution: Execution, machine: Machine, document: Any) -> None:
        """Begin an execution; its first state is entered a moment later."""
        frame = execution.root = Frame(execution, machine, document)
        execution.record(self._kernel.now, "ExecutionStarted", "", document)
        self._kernel.call_later(TRANSITION_SECONDS, self._step, frame, self._begin)
        if machine.timeout_seconds is not None:
            self._kernel.call_later(machine.timeout_seconds, self._expire, execution)

    def stop(self, execution: Execution, status: str, error: str | None, cause: str | None) -> None:
        """Close an execution from outside."""
        self._close(execution, status, None, error, cause)

    def token(self, token: str) -> Waiting | None:
        """The task that waits for a token; None when it is closed."""
        waiting = self._waiting.get(self.number(token))
        return waiting if waiting is not None and waiting.token == token else None

    def number(self, token: str) -> int:
        """The number in a token that was given out, 0 for any other text."""
        number, _, _ = token.partition(".")
        if not number.isdigit() or not 0 < int(number) <= self._last_wait:
            return 0
        return int(number) if token == self._make_token(int(number)) else 0

    def succeed(self, waiting: Waiting, result: Any) -> None:
        """The answer of a task that waits for its token."""
        self._step(waiting.frame, partial(self._answered, waiting.number, result))

    def fail(self, waiting: Waiting, error: str, cause: str) -> None:
        """The failure of a task that waits for its token."""
        fault = StateError(error, cause)
        self._step(waiting.frame, partial(self._failed, waiting.number, "TaskFailed", fault))

    def beat(self, waiting: Waiting) -> None:
        """A heartbeat of a task."""
        waiting.beaten = self._kernel.now

    def expire(self, waiting: Waiting) -> None:
        """Let a task time out now (also a fault's hook)."""
        self._timed_out(waiting.number)

    # ------------------------------------------------------------------------- stepping

    def _step(self, frame: Frame, move: Callable[[Frame], bool]) -> None:
        """Move a frame, and go on with it as long as nothing is waited for."""
        execution = frame.execution
        if execution.status != RUNNING:
            return
        try:
            try:
                following = move(frame)
            except StateError as error:
                following = self._fail(frame, error)
            if following:
                self._go_on(frame)
        except HistoryFull:
            cause = (
                "The execution reached the maximum number of history events "
                f"({MOST_HISTORY_EVENTS})."
            )
            self._close(execution, FAILED, None, faults.RUNTIME, cause)

    def _go_on(self, frame: Frame) -> None:
        """Perform states until one waits or ends; each answers whether another follows."""
        following = True
        while following:
            state = frame.state
            try:
                following = self._perform[state.type](frame, state)
            except StateError as error:
                following = self._fail(frame, error)

    def _begin(self, frame: Frame) -> bool:
        return self._enter(frame, frame.machine.start_at, frame.document)

    def _enter(self, frame: Frame, name: str, document: Any) -> bool:
        state = frame.state = frame.machine.states[name]
        execution = frame.execution
        frame.document = document
        frame.entered = self._kernel.now
        frame.retries = 0
        frame.used = {}
        execution.transitions += 1
        execution.record(self._kernel.now, f"{_kind(state)}StateEntered", name, document)
        self._kernel.trace("state", execution.name, name)
        return True

    def _leave(self, frame: Frame, output: Any, following: str | None = None) -> bool:
        """Leave a state with its output."""
        _text(output, frame.state.name)
        state = frame.state
        kind = f"{_kind(state)}StateExited"
        frame.execution.record(self._kernel.now, kind, state.name, output)
        following = following or state.following
        if following is not None:
            return self._enter(frame, following, output)
        return self._end(frame, output)

    def _select_and_leave(self, frame: Frame, document: Any, following: str | None = None) -> bool:
        """Leave a state with what its OutputPath takes from the document."""
        output = _select(frame.state.output_path, document, self._context(frame))
        return self._leave(frame, output, following)

    def _end(self, frame: Frame, output: Any) -> bool:
        """A frame's last state was left: the execution ends, or the branch."""
        parent = frame.parent
        if parent is None:
            text = _text(output, frame.state.name)
            self._close(frame.execution, SUCCEEDED, text, None, None)
            return False
        del parent.open[frame.index]
        parent.results[frame.index] = output
        parent.left -= 1
        if parent.pending:
            self._open(parent, parent.pending.pop())
        elif not parent.left:
            results, parent.results = parent.results, []
            kind = parent.state.type
            parent.execution.record(self._kernel.now, f"{kind}StateSucceeded", parent.state.name)
            if self._result(parent, results):
                self._go_on(parent)
        return False

    def _result(self, frame: Frame, result: Any) -> bool:
        """Leave a state with a result: ResultSelector, then ResultPath into the raw input."""
        try:
            state = frame.state
            if state.result_selector is not None:
                result = _fill(state.result_selector, result, self._context(frame), state.name)
            output = frame.document
            if state.result_path is not None:
                output = state.result_path.put(frame.document, result)
            return self._select_and_leave(frame, output)
        except StateError as error:
            return self._fail(frame, error)

    def _fail(self, frame: Frame, error: StateError) -> bool:
        """Retry, catch, or let the frame fail."""
        self._forget(frame)
        for number, retrier in enumerate(frame.state.retriers):
            if not faults.matches(error.name, retrier.errors):
                continue
            used = frame.used.get(number, 0)
            if used >= retrier.attempts:
                break
            frame.used[number] = used + 1
            frame.retries += 1
            pause = retrier.pause_seconds(used)
            if retrier.jitter:
                pause *= self._chance.random()
            waiting = self._await(frame)
            self._kernel.call_later(pause, self._resume, waiting.number)
            return False
        for catcher in frame.state.catchers:
            if faults.matches(error.name, catcher.errors):
                try:
                    return self._catch(frame, catcher, error)
                except StateError as worse:
                    return self._fail_frame(frame, worse)
        return self._fail_frame(frame, error)

    def _catch(self, frame: Frame, catcher: Catcher, error: StateError) -> bool:
        """Go on behind a catcher; OutputPath has no say in what it hands on."""
        output = frame.document
        if catcher.result_path is not None:
            told = {"Error": error.name, "Cause": error.cause}
            output = catcher.result_path.put(output, told)
        return self._leave(frame, output, catcher.following)

    def _fail_frame(self, frame: Frame, error: StateError) -> bool:
        parent = frame.parent
        if parent is None:
            self._close(frame.execution, FAILED, None, error.name, error.cause)
            return False
        kind = parent.state.type
        parent.execution.record(
            self._kernel.now, f"{kind}StateFailed", parent.state.name, error.cause
        )
        if self._fail(parent, error):
            self._go_on(parent)
        return False

    def _forget(self, frame: Frame) -> None:
        """Nothing wakes the frame any more, nor what it opened."""
        if frame.wait:
            del self._waiting[frame.wait]
            frame.wait = 0
        for child in frame.open.values():
            self._forget(child)
        frame.open = {}
        frame.pending = []

    def _close(
        self,
        execution: Execution,
        status: str,
        output: str | None,
        error: str | None,
        cause: str | None,
    ) -> None:
        root = execution.root
        assert root is not None
        self._forget(root)
        execution.root = None
        execution.status = status
        execution.stopped = self._kernel.now
        execution.output = output
        execution.error = error
        execution.cause = cause
        kind = f"Execution{status.title().replace('_', '')}"
        execution.record_end(self._kernel.now, kind, error or "", cause if error else output)
        self._kernel.trace("execution", execution.name, status, error or "")
        self._closed(execution)

    def _expire(self, execution: Execution) -> None:
        if execution.status == RUNNING:
            self._close(execution, TIMED_OUT, None, None, None)

    # --------------------------------------------------------------------------- waiting

    def _await(self, frame: Frame) -> Waiting:
        self._last_wait += 1
        waiting = self._waiting[self._last_wait] = Waiting(self._last_wait, frame)
        frame.wait = self._last_wait
        return waiting

    def _resume(self, number: int) -> None:
        """A pause before a retry is over."""
        waiting = self._waiting.get(number)
        if waiting is not None:
            self._step(waiting.frame, self._again)

    def _again(self, frame: Frame) -> bool:
        self._forget(frame)
        frame.execution.transitions += 1
        return True

    def _make_token(self, number: int) -> str:
        seal = hashlib.sha256(f"{self._kernel.seed}/token/{number}".encode()).hexdigest()
        return f"{number}.{seal}"

    def _context(self, frame: Frame, token: str = "") -> Context:
        return partial(_context_object, frame, token)

    # ---------------------------------------------------------------------------- states

    def _succeed(self, frame: Frame, state: State) -> bool:
        document = _select(state.input_path, frame.document, self._context(frame))
        return self._select_and_leave(frame, document)

    def _fail_state(self, frame: Frame, state: Fail) -> bool:
        error, cause = (self._told(frame, value) for value in (state.error, state.cause))
        return self._fail_frame(frame, StateError(error, cause))

    def _told(self, frame: Frame, value: str | Path) -> str:
        if isinstance(value, str):
            return value
        found = _select(value, frame.document, self._context(frame))
        if not isinstance(found, str):
            raise StateError(faults.RUNTIME, f"{value.text!r} leads to no text")
        return found

    def _pass(self, frame: Frame, state: Pass) -> bool:
        result = state.result[0] if state.result else self._input(frame, self._context(frame))
        return self._result(frame, result)

    def _choose(self, frame: Frame, state: Choice) -> bool:
        context = self._context(frame)
        document = _select(state.input_path, frame.document, context)
        for holds, target in state.rules:
            if holds(document, context):
                return self._select_and_leave(frame, document, target)
        if state.default is None:
            raise StateError(
                faults.NO_CHOICE, f"Failed to transition out of the state {state.name}"
            )
        return self._select_and_leave(frame, document, state.default)

    def _wait(self, frame: Frame, state: Wait) -> bool:
        context = self._context(frame)
        document = _select(state.input_path, frame.document, context)
        waiting = self._await(frame)
        if state.seconds is not None:
            seconds = _number(state.seconds, document, context, least=0)
            self._kernel.call_later(seconds, self._waited, waiting.number, document)
            return False
        until = state.until
        if isinstance(until, Path):
            when = timestamp(_select(until, document, context))
            if when is None:
                raise StateError(faults.RUNTIME, f"{until.text!r} leads to no timestamp")
            until = when.timestamp()
        assert until is not None
        self._kernel.call_at(until, self._waited, waiting.number, document)
        return False

    def _waited(self, number: int, document: Any) -> None:
        waiting = self._waiting.get(number)
        if waiting is not None:
            self._forget(waiting.frame)
            self._step(waiting.frame, partial(self._select_and_leave, document=document))

    def _input(self, frame: Frame, context: Context) -> Any:
        """The effective input of a state: InputPath, then Parameters."""
        state = frame.state
        document = _select(state.input_path, frame.document, context)
        if state.parameters is None:
            return document
        return _fill(state.parameters, document, context, state.name)

    # ----------------------------------------------------------------------------- tasks

    def _task(self, frame: Frame, state: Task) -> bool:
        waiting = self._await(frame)
        if state.resource == INVOKE_AND_WAIT:
            waiting.token = self._make_token(waiting.number)
        context = self._context(frame, waiting.token)
        document = _select(state.input_path, frame.document, context)
        timeout = _number(state.timeout_seconds, document, context, least=1)
        if state.heartbeat_seconds is not None:
            heartbeat = _number(state.heartbeat_seconds, document, context, least=1)
            waiting.heartbeat_seconds = heartbeat
        payload = json.loads(_text(self._input(frame, context), state.name))
        function = state.resource
        if state.resource.startswith(INVOKE):
            function, payload = payload["FunctionName"], payload.get("Payload", {})
        kind = "Task" if state.resource.startswith(INVOKE) else "LambdaFunction"
        now = self._kernel.now
        frame.execution.record(now, f"{kind}Scheduled", state.resource, payload)
        self._kernel.call_later(
            TRANSITION_SECONDS, self._invoke, waiting.number, kind, str(function), payload
        )
        if timeout < MOST_SECONDS:
            self._kernel.call_later(timeout, self._timed_out, waiting.number)
        if waiting.heartbeat_seconds:
            waiting.beaten = now
            self._kernel.call_later(waiting.heartbeat_seconds, self._listen, waiting.number)
        return False

    def _invoke(self, number: int, kind: str, function: str, payload: Any) -> None:
        waiting = self._waiting.get(number)
        if waiting is None:
            return

        def begin(frame: Frame) -> bool:
            frame.execution.record(self._kernel.now, f"{kind}Started", frame.state.name)
            done = partial(self._invoked, number)
            self._lambda.invoke(function, payload, done, "states")
            return False

        self._step(waiting.frame, begin)

    def _invoked(self, number: int, answer: Answer) -> None:
        """The function of a task ended; nobody may be waiting for it any more."""
        waiting = self._waiting.get(number)
        if waiting is None:
            return
        frame = waiting.frame
        assert isinstance(frame.state, Task)
        resource = frame.state.resource
        direct = not resource.startswith(INVOKE)
        if answer.error is not None:
            kind = "LambdaFunctionFailed" if direct else "TaskFailed"
            self._step(frame, partial(self._failed, number, kind, _lambda_error(answer)))
        elif resource == INVOKE_AND_WAIT:
            self._step(frame, self._submitted)
        elif direct:
            self._step(frame, partial(self._answered, number, answer.result))
        else:
            result = {
                "ExecutedVersion": "$LATEST",
                "Payload": answer.result,
                "StatusCode": 200,
            }
            self._step(frame, partial(self._answered, number, result))

    def _submitted(self, frame: Frame) -> bool:
        frame.execution.record(self._kernel.now, "TaskSubmitted", frame.state.name)
        return False

    def _answered(self, number: int, result: Any, frame: Frame) -> bool:
        if self._waiting.pop(number, None) is None:
            return False
        frame.wait = 0
        state = frame.state
        assert isinstance(state, Task)
        try:
            result = json.loads(_text(result, state.name))
        except StateError as error:
            return self._fail(frame, error)
        kind = "Task" if state.resource.startswith(INVOKE) else "LambdaFunction"
        frame.execution.record(self._kernel.now, f"{kind}Succeeded", state.name, result)
        return self._result(frame, result)

    def _failed(self, number: int, kind: str, error: StateError, frame: Frame) -> bool:
        if number not in self._waiting:
            return False
        frame.execution.record(self._kernel.now, kind, error.name, error.cause)
        return self._fail(frame, error)

    def _timed_out(self, number: int, name: str = faults.TIMEOUT) -> None:
        waiting = self._waiting.get(number)
        if waiting is None:
            return
        state = waiting.frame.state
        assert isinstance(state, Task)
        direct = not state.resource.startswith(INVOKE)
        kind = "LambdaFunctionTimedOut" if direct else "TaskTimedOut"
        self._step(waiting.frame, partial(self._failed, number, kind, StateError(name, "")))

    def _listen(self, number: int) -> None:
        """Look for the heartbeats of a task when the next one is due."""
        waiting = self._waiting.get(number)
        if waiting is None:
            return
        due = waiting.beaten + waiting.heartbeat_seconds
        if due > self._kernel.now:
            self._kernel.call_at(due, self._listen, number)
        else:
            self._timed_out(number, faults.HEARTBEAT_TIMEOUT)

    # -------------------------------------------------------------------------- branches

    def _parallel(self, frame: Frame, state: Parallel) -> bool:
        document = self._input(frame, self._context(frame))
        frames = [
            Frame(frame.execution, machine, document, frame, index)
            for index, machine in enumerate(state.branches)
        ]
        return self._open_all(frame, frames, len(frames))

    def _map(self, frame: Frame, state: Map) -> bool:
        context = self._context(frame)
        document = _select(state.input_path, frame.document, context)
        items = _select(state.items_path, document, context)
        if not isinstance(items, list):
            raise StateError(faults.RUNTIME, f"{state.items_path.text!r} leads to no list")
        processor = state.processor
        assert processor is not None
        frames = []
        for index, item in enumerate(items):
            child = Frame(frame.execution, processor, item, frame, index, (item,))
            if state.parameters is not None:
                inner = self._context(child)
                child.document = _fill(state.parameters, document, inner, state.name)
            frames.append(child)
        return self._open_all(frame, frames, state.most_running or len(frames))

    def _open_all(self, frame: Frame, frames: list[Frame], most: int) -> bool:
        kind = frame.state.type
        frame.execution.record(self._kernel.now, f"{kind}StateStarted", frame.state.name)
        if not frames:
            return self._result(frame, [])
        frame.left = len(frames)
        frame.results = [None] * len(frames)
        frame.pending = frames[most:][::-1]
        for child in frames[:most]:
            self._open(frame, child)
        return False

    def _open(self, frame: Frame, child: Frame) -> None:
        """Begin a branch, a moment later and from the kernel: it may end at once."""
        frame.open[child.index] = child
        waiting = self._await(child)
        self._kernel.call_at(self._kernel.now, self._begin_branch, waiting.number)

    def _begin_branch(self, number: int) -> None:
        waiting = self._waiting.pop(number, None)
        if waiting is not None:
            waiting.frame.wait = 0
            self._step(waiting.frame, self._begin)


def _kind(state: State) -> str:
    return state.type


def _text(document: Any, name: str) -> str:
    """A payload as JSON; States.DataLimitExceeded over 256 KiB in UTF-8."""
    text = json.dumps(document, ensure_ascii=False, separators=(",", ":"))
    if len(text) * 4 > PAYLOAD_BYTES and len(text.encode()) > PAYLOAD_BYTES:
        raise StateError(
            faults.DATA_LIMIT,
            f"The state/task '{name}' returned a result with a size exceeding the maximum number "
            "of bytes service limit.",
        )
    return text


def _select(path: Path | None, document: Any, context: Context) -> Any:
    """What InputPath, OutputPath or another path leads to; null stands for an empty object."""
    if path is None:
        return {}
    try:
        return path.get(document, context)
    except MissingPath as error:
        raise StateError(
            faults.RUNTIME, f"Invalid path '{error}': it leads nowhere in the input"
        ) from None


def _fill(template: Template, document: Any, context: Context, name: str) -> Any:
    try:
        return template.fill(document, context)
    except MissingPath as error:
        raise StateError(
            faults.PARAMETER_PATH,
            f"The JSONPath '{error}' could not be found in the input of the state '{name}'",
        ) from None


def _number(value: float | Path, document: Any, context: Context, least: int) -> float:
    """A number of seconds, written or found by a path."""
    if not isinstance(value, Path):
        return value
    found = _select(value, document, context)
    if isinstance(found, bool) or not isinstance(found, int) or not least <= found <= MOST_SECONDS:
        raise StateError(faults.RUNTIME, f"{value.text!r} leads to no number of seconds: {found!r}")
    return found


def _lambda_error(answer: Answer) -> StateError:
    """The name that Step Functions gives an error of Lambda, or of a function."""
    error = answer.error or ""
    if answer.service:
        return StateError(f"Lambda.{error}", answer.message)
    if error == "Runtime.ExitError":
        error = "Lambda.Unknown"
    return StateError(error, json.dumps(answer.document()))


def _context_object(frame: Frame, token: str) -> dict[str, Any]:
    execution = frame.execution
    context: dict[str, Any] = {
        "Execution": {
            "Id": execution.arn,
            "Input": json.loads(execution.input),
            "Name": execution.name,
            "StartTime": iso(execution.started),
        },
        "State": {
            "EnteredTime": iso(frame.entered),
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


def iso(when: float) -> str:
    """A time as the context object writes it."""
    return datetime.fromtimestamp(when, UTC).isoformat(timespec="milliseconds")[:-6] + "Z"
