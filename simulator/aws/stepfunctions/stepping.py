"""How an execution moves: into a state, out of it, to its retry, its catch, or its end.

Nothing runs while an execution waits: it is a few objects and, where a time bounds the wait, one
event of the kernel that knows it by a number.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from simulator.aws.stepfunctions import faults
from simulator.aws.stepfunctions.context import context_object
from simulator.aws.stepfunctions.execution import (
    FAILED,
    MOST_HISTORY_EVENTS,
    RUNNING,
    SUCCEEDED,
    TIMED_OUT,
    Execution,
    Frame,
    Waiting,
)
from simulator.aws.stepfunctions.faults import HistoryFull, StateError
from simulator.aws.stepfunctions.paths import Context
from simulator.aws.stepfunctions.payloads import as_text, fill, select
from simulator.aws.stepfunctions.states import Catcher
from simulator.kernel import Kernel

Move = Callable[[Frame], bool]
"""Does something to a frame; answers whether its state is to be performed now."""
Perform = Callable[[Frame, Any], bool]
"""Performs a state; answers whether another follows at once."""


class Steps:
    """Moves frames. `perform` knows the types of states; `closed` is told of each end."""

    def __init__(self, kernel: Kernel, closed: Callable[[Execution], None]) -> None:
        self.kernel = kernel
        self.perform: dict[str, Perform] = {}
        self.waiting: dict[int, Waiting] = {}
        self.last_wait = 0
        self._closed = closed
        self._chance = kernel.stream("stepfunctions")

    def context(self, frame: Frame, token: str = "") -> Context:
        """Makes the context object of a frame when a path asks for it."""
        return partial(context_object, frame, token)

    def input(self, frame: Frame, context: Context) -> Any:
        """The effective input of a state: InputPath, then Parameters."""
        state = frame.state
        document = select(state.input_path, frame.document, context)
        if state.parameters is None:
            return document
        return fill(state.parameters, document, context, state.name)

    # ---------------------------------------------------------------------------- moving

    def step(self, frame: Frame, move: Move) -> None:
        """Move a frame of an open execution, and go on with it until it waits or ends."""
        execution = frame.execution
        if execution.status != RUNNING:
            return
        try:
            try:
                following = move(frame)
            except StateError as error:
                following = self.fail(frame, error)
            if following:
                self._go_on(frame)
        except HistoryFull:
            cause = (
                "The execution reached the maximum number of history events "
                f"({MOST_HISTORY_EVENTS})."
            )
            self.close(execution, FAILED, None, faults.RUNTIME, cause)

    def _go_on(self, frame: Frame) -> None:
        following = True
        while following:
            state = frame.state
            try:
                following = self.perform[state.type](frame, state)
            except StateError as error:
                following = self.fail(frame, error)

    def begin(self, frame: Frame) -> bool:
        """Enter the first state."""
        return self._enter(frame, frame.machine.start_at, frame.document)

    def _enter(self, frame: Frame, name: str, document: Any) -> bool:
        state = frame.state = frame.machine.states[name]
        execution = frame.execution
        frame.document = document
        frame.entered = self.kernel.now
        frame.retries = 0
        frame.used = {}
        execution.transitions += 1
        execution.record(self.kernel.now, f"{state.type}StateEntered", name, document)
        self.kernel.trace("state", execution.name, name)
        return True

    def result(self, frame: Frame, result: Any) -> bool:
        """Leave a state with a result: ResultSelector, then ResultPath into the raw input."""
        state = frame.state
        if state.result_selector is not None:
            result = fill(state.result_selector, result, self.context(frame), state.name)
        output = frame.document
        if state.result_path is not None:
            output = state.result_path.put(frame.document, result)
        return self.leave(frame, output)

    def leave(self, frame: Frame, document: Any, following: str | None = None) -> bool:
        """Leave a state with what its OutputPath takes from a document."""
        output = select(frame.state.output_path, document, self.context(frame))
        return self._exit(frame, output, following)

    def _exit(self, frame: Frame, output: Any, following: str | None) -> bool:
        state = frame.state
        as_text(output, state.name)
        kind = f"{state.type}StateExited"
        frame.execution.record(self.kernel.now, kind, state.name, output)
        following = following or state.following
        if following is not None:
            return self._enter(frame, following, output)
        if frame.parent is not None:
            self._end_branch(frame.parent, frame.index, output)
        else:
            text = as_text(output, state.name)
            self.close(frame.execution, SUCCEEDED, text, None, None)
        return False

    # --------------------------------------------------------------------------- failing

    def fail(self, frame: Frame, error: StateError) -> bool:
        """Retry the state, go on behind a catcher, or let the frame fail."""
        self.forget(frame)
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
            self.kernel.call_later(pause, self._try_again, self.wait(frame).number)
            return False
        for catcher in frame.state.catchers:
            if faults.matches(error.name, catcher.errors):
                try:
                    return self._catch(frame, catcher, error)
                except StateError as worse:
                    return self.fail_frame(frame, worse)
        return self.fail_frame(frame, error)

    def _try_again(self, number: int) -> None:
        waiting = self.waiting.get(number)
        if waiting is not None:
            self.step(waiting.frame, self._again)

    def _again(self, frame: Frame) -> bool:
        self.forget(frame)
        frame.execution.transitions += 1
        return True

    def _catch(self, frame: Frame, catcher: Catcher, error: StateError) -> bool:
        """Go on behind a catcher; OutputPath has no say in what it hands on."""
        output = frame.document
        if catcher.result_path is not None:
            told = {"Error": error.name, "Cause": error.cause}
            output = catcher.result_path.put(output, told)
        return self._exit(frame, output, catcher.following)

    def fail_frame(self, frame: Frame, error: StateError) -> bool:
        """The frame has failed: the execution with it, or the state that opened the branch."""
        parent = frame.parent
        if parent is None:
            self.close(frame.execution, FAILED, None, error.name, error.cause)
            return False
        kind = f"{parent.state.type}StateFailed"
        parent.execution.record(self.kernel.now, kind, error.name, error.cause)
        if self.fail(parent, error):
            self._go_on(parent)
        return False

    # ------------------------------------------------------------------- waiting and ends

    def wait(self, frame: Frame) -> Waiting:
        """Let a frame wait, known by a number."""
        self.last_wait += 1
        waiting = self.waiting[self.last_wait] = Waiting(self.last_wait, frame)
        frame.wait = self.last_wait
        return waiting

    def forget(self, frame: Frame) -> None:
        """Nothing wakes the frame any more, nor the branches that it opened."""
        if frame.wait:
            del self.waiting[frame.wait]
            frame.wait = 0
        for branch in frame.open.values():
            self.forget(branch)
        frame.open = {}
        frame.pending = []

    def close(
        self,
        execution: Execution,
        status: str,
        output: str | None,
        error: str | None,
        cause: str | None,
    ) -> None:
        """End an execution."""
        root = execution.root
        assert root is not None
        self.forget(root)
        execution.root = None
        execution.status = status
        execution.stopped = self.kernel.now
        execution.output = output
        execution.error = error
        execution.cause = cause
        kind = f"Execution{status.title().replace('_', '')}"
        execution.record_end(self.kernel.now, kind, error or "", cause if error else output)
        self.kernel.trace("execution", execution.name, status, error or "")
        self._closed(execution)

    def expire(self, execution: Execution) -> None:
        """The machine's own time is over."""
        if execution.status == RUNNING:
            self.close(execution, TIMED_OUT, None, None, None)

    # -------------------------------------------------------------------------- branches

    def open_all(self, frame: Frame, branches: list[Frame], most: int) -> bool:
        """Run the branches of a Parallel or Map state, at most so many at once."""
        kind = f"{frame.state.type}StateStarted"
        frame.execution.record(self.kernel.now, kind, frame.state.name)
        if not branches:
            return self.result(frame, [])
        frame.left = len(branches)
        frame.results = [None] * len(branches)
        frame.pending = branches[most:][::-1]
        for branch in branches[:most]:
            self._open(frame, branch)
        return False

    def _open(self, frame: Frame, branch: Frame) -> None:
        """Begin a branch, from the kernel: it may end at once."""
        frame.open[branch.index] = branch
        number = self.wait(branch).number
        self.kernel.call_at(self.kernel.now, self._begin_branch, number)

    def _begin_branch(self, number: int) -> None:
        waiting = self.waiting.get(number)
        if waiting is not None:
            self.forget(waiting.frame)
            self.step(waiting.frame, self.begin)

    def _end_branch(self, frame: Frame, index: int, output: Any) -> None:
        del frame.open[index]
        frame.results[index] = output
        frame.left -= 1
        if frame.pending:
            self._open(frame, frame.pending.pop())
        if frame.left:
            return
        results, frame.results = frame.results, []
        kind = f"{frame.state.type}StateSucceeded"
        frame.execution.record(self.kernel.now, kind, frame.state.name)
        self.step(frame, partial(_with_result, self, results))


def _with_result(steps: Steps, result: Any, frame: Frame) -> bool:
    return steps.result(frame, result)
