"""The interpreter: the types of states, and what may come to an execution from outside."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from simulator.aws.lambda_ import Lambda
from simulator.aws.stepfunctions import faults
from simulator.aws.stepfunctions.choices import timestamp
from simulator.aws.stepfunctions.execution import Execution, Frame
from simulator.aws.stepfunctions.faults import StateError
from simulator.aws.stepfunctions.paths import Context, Path
from simulator.aws.stepfunctions.payloads import fill, select, whole_seconds
from simulator.aws.stepfunctions.states import (
    Choice,
    Fail,
    Machine,
    Map,
    Parallel,
    Pass,
    State,
    Wait,
)
from simulator.aws.stepfunctions.stepping import Steps
from simulator.aws.stepfunctions.tasks import TRANSITION_SECONDS, Tasks
from simulator.kernel import Kernel


class Interpreter:
    """Runs executions on the kernel's clock. `closed` is told of each that ends."""

    def __init__(
        self, kernel: Kernel, lambda_: Lambda, closed: Callable[[Execution], None]
    ) -> None:
        self._kernel = kernel
        self._steps = Steps(kernel, closed)
        self.tasks = Tasks(self._steps, lambda_)
        self._steps.perform = {
            "Task": self.tasks.perform,
            "Choice": self._choose,
            "Wait": self._wait,
            "Pass": self._pass,
            "Succeed": self._succeed,
            "Fail": self._fail,
            "Parallel": self._parallel,
            "Map": self._map,
        }

    def start(self, execution: Execution, machine: Machine, document: Any) -> None:
        """Begin an execution; its first state is entered a moment later."""
        frame = execution.root = Frame(execution, machine, document)
        execution.record(self._kernel.now, "ExecutionStarted", "", document)
        self._kernel.call_later(TRANSITION_SECONDS, self._steps.step, frame, self._steps.begin)
        if machine.timeout_seconds is not None:
            self._kernel.call_later(machine.timeout_seconds, self._steps.expire, execution)

    def stop(self, execution: Execution, status: str, error: str | None, cause: str | None) -> None:
        """Close an execution from outside."""
        self._steps.close(execution, status, None, error, cause)

    # ----------------------------------------------------------------------------- states

    def _succeed(self, frame: Frame, state: State) -> bool:
        document = select(state.input_path, frame.document, self._steps.context(frame))
        return self._steps.leave(frame, document)

    def _fail(self, frame: Frame, state: Fail) -> bool:
        error, cause = (self._told(frame, value) for value in (state.error, state.cause))
        return self._steps.fail_frame(frame, StateError(error, cause))

    def _told(self, frame: Frame, value: str | Path) -> str:
        if isinstance(value, str):
            return value
        found = select(value, frame.document, self._steps.context(frame))
        if not isinstance(found, str):
            raise StateError(faults.RUNTIME, f"{value.text!r} leads to no text")
        return found

    def _pass(self, frame: Frame, state: Pass) -> bool:
        if state.result:
            return self._steps.result(frame, state.result[0])
        return self._steps.result(frame, self._steps.input(frame, self._steps.context(frame)))

    def _choose(self, frame: Frame, state: Choice) -> bool:
        context = self._steps.context(frame)
        document = select(state.input_path, frame.document, context)
        for holds, target in state.rules:
            if holds(document, context):
                return self._steps.leave(frame, document, target)
        if state.default is None:
            cause = f"Failed to transition out of the state {state.name}"
            raise StateError(faults.NO_CHOICE, cause)
        return self._steps.leave(frame, document, state.default)

    def _wait(self, frame: Frame, state: Wait) -> bool:
        context = self._steps.context(frame)
        document = select(state.input_path, frame.document, context)
        if state.seconds is not None:
            seconds = whole_seconds(state.seconds, document, context, least=0)
            until = self._kernel.now + seconds
        else:
            until = _time(state.until, document, context)
        self._kernel.call_at(until, self._waited, self._steps.wait(frame).number, document)
        return False

    def _waited(self, number: int, document: Any) -> None:
        waiting = self._steps.waiting.get(number)
        if waiting is not None:
            self._steps.forget(waiting.frame)
            self._steps.step(waiting.frame, partial(self._steps.leave, document=document))

    def _parallel(self, frame: Frame, state: Parallel) -> bool:
        document = self._steps.input(frame, self._steps.context(frame))
        branches = [
            Frame(frame.execution, machine, document, frame, index)
            for index, machine in enumerate(state.branches)
        ]
        return self._steps.open_all(frame, branches, len(branches))

    def _map(self, frame: Frame, state: Map) -> bool:
        context = self._steps.context(frame)
        document = select(state.input_path, frame.document, context)
        items = select(state.items_path, document, context)
        if not isinstance(items, list):
            raise StateError(faults.RUNTIME, f"{state.items_path.text!r} leads to no list")
        assert state.processor is not None
        branches = []
        for index, item in enumerate(items):
            branch = Frame(frame.execution, state.processor, item, frame, index, (item,))
            if state.parameters is not None:
                inner = self._steps.context(branch)
                branch.document = fill(state.parameters, document, inner, state.name)
            branches.append(branch)
        return self._steps.open_all(frame, branches, state.most_running or len(branches))


def _time(until: float | Path | None, document: Any, context: Context) -> float:
    """The time that a Wait state names."""
    assert until is not None
    if not isinstance(until, Path):
        return until
    when = timestamp(select(until, document, context))
    if when is None:
        raise StateError(faults.RUNTIME, f"{until.text!r} leads to no timestamp")
    return when.timestamp()
