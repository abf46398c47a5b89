"""Task states: a Lambda function that is invoked, and the token that a task may wait for."""

from __future__ import annotations

import hashlib
import json
from functools import partial
from typing import Any, Final

from simulator.aws.lambda_ import Answer, Lambda
from simulator.aws.stepfunctions import faults
from simulator.aws.stepfunctions.definition import INVOKE, INVOKE_AND_WAIT
from simulator.aws.stepfunctions.execution import Execution, Frame, Waiting
from simulator.aws.stepfunctions.faults import StateError
from simulator.aws.stepfunctions.payloads import as_text, select, whole_seconds
from simulator.aws.stepfunctions.states import MOST_SECONDS, Task
from simulator.aws.stepfunctions.stepping import Move, Steps

TRANSITION_SECONDS: Final = 0.025
"""From the moment a task is scheduled to the moment its function is invoked."""


class Tasks:
    """Performs Task states."""

    def __init__(self, steps: Steps, lambda_: Lambda) -> None:
        self._steps = steps
        self._kernel = steps.kernel
        self._lambda = lambda_

    # ---------------------------------------------------------------------------- tokens

    def find(self, token: str) -> Waiting | None:
        """The task that waits for a token; None when it is closed."""
        waiting = self._steps.waiting.get(self.number(token))
        return waiting if waiting is not None and waiting.token == token else None

    def number(self, token: str) -> int:
        """The number in a token that was given out, 0 for any other text."""
        number, _, _ = token.partition(".")
        if not number.isdecimal() or not 0 < int(number) <= self._steps.last_wait:
            return 0
        return int(number) if token == self._token(int(number)) else 0

    def _token(self, number: int) -> str:
        seal = hashlib.sha256(f"{self._kernel.seed}/token/{number}".encode()).hexdigest()
        return f"{number}.{seal}"

    def succeed(self, waiting: Waiting, result: Any) -> None:
        """The answer of a task that waits for its token."""
        self._steps.step(waiting.frame, partial(self._answered, result))

    def fail(self, waiting: Waiting, error: str, cause: str) -> None:
        """The failure of a task that waits for its token."""
        move = partial(self._failed, "TaskFailed", StateError(error, cause))
        self._steps.step(waiting.frame, move)

    def beat(self, waiting: Waiting) -> None:
        """A heartbeat of a task."""
        waiting.beaten = self._kernel.now

    def time_out(self, number: int, name: str = faults.TIMEOUT) -> None:
        """A task's time is over, if it still waits."""
        self.disturb(number, StateError(name, ""))

    def disturb(self, number: int, error: StateError) -> None:
        """A task ends with an error of the service, if it still waits."""
        waiting = self._steps.waiting.get(number)
        if waiting is not None:
            ended = "TimedOut" if error.name in faults.TIMEOUTS else "Failed"
            move = partial(self._failed, f"{_family(waiting.frame)}{ended}", error)
            self._steps.step(waiting.frame, move)

    def of(self, execution: Execution) -> list[Waiting]:
        """The tasks that an execution waits for at this moment, whatever their functions do."""
        found: list[Waiting] = []
        frames = [execution.root] if execution.root is not None else []
        while frames:
            frame = frames.pop()
            waiting = self._steps.waiting.get(frame.wait)
            if waiting is not None and waiting.is_task:
                found.append(waiting)
            frames += frame.open.values()
        return found

    # ----------------------------------------------------------------------- performing

    def perform(self, frame: Frame, state: Task) -> bool:
        """Schedule the function, and the times that bound the wait for it."""
        waiting = self._steps.wait(frame)
        waiting.is_task = True
        number = waiting.number
        if state.resource == INVOKE_AND_WAIT:
            waiting.token = self._token(number)
        context = self._steps.context(frame, waiting.token)
        document = select(state.input_path, frame.document, context)
        timeout = whole_seconds(state.timeout_seconds, document, context, least=1)
        if state.heartbeat_seconds is not None:
            heartbeat = whole_seconds(state.heartbeat_seconds, document, context, least=1)
            waiting.heartbeat_seconds = heartbeat
            waiting.beaten = self._kernel.now
            self._kernel.call_later(heartbeat, self._listen, number)
        payload = json.loads(as_text(self._steps.input(frame, context), state.name))
        function = state.resource
        if function.startswith(INVOKE):
            function, payload = str(payload["FunctionName"]), payload.get("Payload", {})
        kind = f"{_family(frame)}Scheduled"
        frame.execution.record(self._kernel.now, kind, state.resource, payload)
        self._kernel.call_later(TRANSITION_SECONDS, self._invoke, number, function, payload)
        if timeout < MOST_SECONDS:
            self._kernel.call_later(timeout, self.time_out, number)
        return False

    def _listen(self, number: int) -> None:
        """Look for the heartbeats of a task when the next one is due."""
        waiting = self._steps.waiting.get(number)
        if waiting is None:
            return
        due = waiting.beaten + waiting.heartbeat_seconds
        if due > self._kernel.now:
            self._kernel.call_at(due, self._listen, number)
        else:
            self.time_out(number, faults.HEARTBEAT_TIMEOUT)

    def _invoke(self, number: int, function: str, payload: Any) -> None:
        waiting = self._steps.waiting.get(number)
        if waiting is not None:
            self._steps.step(waiting.frame, partial(self._begin, number, function, payload))

    def _begin(self, number: int, function: str, payload: Any, frame: Frame) -> bool:
        kind = f"{_family(frame)}Started"
        frame.execution.record(self._kernel.now, kind, frame.state.name)
        self._lambda.invoke(function, payload, partial(self._invoked, number), "states")
        return False

    def _invoked(self, number: int, answer: Answer) -> None:
        """The function of a task ended; nobody may be waiting for it any more."""
        waiting = self._steps.waiting.get(number)
        if waiting is None:
            return
        frame = waiting.frame
        resource = _resource(frame)
        move: Move
        if answer.error is not None:
            error = _lambda_error(answer)
            move = partial(self._failed, f"{_family(frame)}Failed", error)
        elif resource == INVOKE_AND_WAIT:
            move = self._submitted
        elif resource == INVOKE:
            result = {"ExecutedVersion": "$LATEST", "Payload": answer.result, "StatusCode": 200}
            move = partial(self._answered, result)
        else:
            move = partial(self._answered, answer.result)
        self._steps.step(frame, move)

    def _submitted(self, frame: Frame) -> bool:
        frame.execution.record(self._kernel.now, "TaskSubmitted", frame.state.name)
        return False

    def _answered(self, result: Any, frame: Frame) -> bool:
        self._steps.forget(frame)
        result = json.loads(as_text(result, frame.state.name))
        kind = f"{_family(frame)}Succeeded"
        frame.execution.record(self._kernel.now, kind, frame.state.name, result)
        return self._steps.result(frame, result)

    def _failed(self, kind: str, error: StateError, frame: Frame) -> bool:
        frame.execution.record(self._kernel.now, kind, error.name, error.cause)
        return self._steps.fail(frame, error)


def _resource(frame: Frame) -> str:
    assert isinstance(frame.state, Task)
    return frame.state.resource


def _family(frame: Frame) -> str:
    """How the history calls the events of a task: by ARN, or by the invoke integration."""
    return "Task" if _resource(frame).startswith(INVOKE) else "LambdaFunction"


def _lambda_error(answer: Answer) -> StateError:
    """The name that Step Functions gives an error of Lambda, or of a function."""
    error = answer.error or ""
    if answer.service:
        return StateError(f"Lambda.{error}", answer.message)
    if error == "Runtime.ExitError":
        error = "Lambda.Unknown"
    return StateError(error, json.dumps(answer.document()))
