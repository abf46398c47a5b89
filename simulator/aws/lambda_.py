"""Lambda: functions, their containers, and invocations that end, time out, crash or are throttled.

An invocation is a coroutine of its own and holds a container to itself: a handler is not
re-entrant. An idle container costs nothing: no event waits to take it away.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any, Final

from simulator.aws.functions import (
    ARN_PREFIX,
    Answer,
    Container,
    Context,
    Done,
    Event,
    Exited,
    Fate,
    Function,
    Handler,
    Invocation,
)
from simulator.kernel import Coroutine, Kernel

__all__ = [
    "ARN_PREFIX",
    "Answer",
    "Container",
    "Context",
    "Event",
    "Fate",
    "Function",
    "Handler",
    "Lambda",
]

IDLE_SECONDS: Final = 600.0
"""A container that was idle for this long is gone."""
CONCURRENCY: Final = 1000
"""Default quota of an account in a region: what all its functions may run at once."""
PAYLOAD_BYTES: Final = 6 * 1024 * 1024
"""Largest answer of a synchronous invocation."""
EVENT_PAUSES_SECONDS: Final = (60.0, 120.0)
"""An asynchronous event that failed is tried again twice, after these pauses."""
EVENT_AGE_SECONDS: Final = 6 * 3600.0
"""So long an asynchronous event that was throttled is kept."""
THROTTLED_PAUSE_SECONDS: Final = (1.0, 300.0)
"""First and longest pause of a throttled asynchronous event."""


class Lambda:
    """The service: what is deployed, and everything that runs.

    `decide` is the hook of the faults: asked for each invocation with the function, its event and
    its source ("states", "sqs", "events", "http"). `discarded` is told of asynchronous events that
    were given up.
    """

    def __init__(self, kernel: Kernel, concurrency: int = CONCURRENCY) -> None:
        self.kernel = kernel
        self.concurrency = concurrency
        self.functions: dict[str, Function] = {}
        self.decide: Callable[[Function, Event, str], Fate] | None = None
        self.discarded: Callable[[str, Event, Answer], None] | None = None
        self._shared_busy = 0
        self._invocations = 0

    # -------------------------------------------------------------------- the interface

    def add(self, function: Function) -> Function:
        """Deploy a function; one of that name is replaced, and its containers with it."""
        self.functions[function.name] = function
        return function

    def update(self, function: Function) -> None:
        """UpdateFunctionCode: from now on every invocation begins in a container with the new code.

        What runs ends where it is, beside the new ones; its container takes nothing after that.
        """
        function.release += 1
        function.idle.clear()

    def find(self, name: str) -> Function | None:
        """A function by its name or ARN."""
        if name.startswith("arn:"):
            name = name.split(":")[6]
        return self.functions.get(name)

    def invoke(self, name: str, event: Event, done: Done | None = None, source: str = "") -> None:
        """Invoke synchronously; `done` is called once, later, from outside any coroutine."""
        function = self.find(name)
        if function is None:
            self._answer(done, "ResourceNotFoundException", f"Function not found: {name}")
            return
        fate = Fate.RUN if self.decide is None else self.decide(function, event, source)
        if fate is Fate.FAIL:
            self._answer(done, "ServiceException", "Internal error, simulated")
        elif fate is Fate.THROTTLE or not self._has_room(function):
            function.throttles += 1
            self._answer(done, "TooManyRequestsException", "Rate Exceeded.")
        else:
            self._begin(function, event, done)
            if fate is Fate.TWICE and self._has_room(function):
                self._begin(function, json.loads(json.dumps(event)), None)

    def call(self, name: str, event: Event, source: str = "") -> Answer:
        """Invoke from inside a coroutine and wait there for the answer."""
        answers: list[Answer] = []
        caller = self.kernel.current
        assert caller is not None, "only a coroutine can wait"

        def done(answer: Answer) -> None:
            answers.append(answer)
            self.kernel.wake(caller)

        self.invoke(name, event, done, source)
        self.kernel.suspend()
        return answers[0]

    def send(self, name: str, event: Event, source: str = "") -> None:
        """Invoke asynchronously: two retries after an error, six hours of them when throttled."""
        _Sent(self, name, json.dumps(event), source).attempt()

    def crash(self, coroutine: Coroutine) -> None:
        """Kill an invocation where it is, as its process would die: the caller is told at once."""
        container = coroutine.owner
        assert isinstance(container, Container), "only an invocation can crash"
        if coroutine.ended or coroutine.killed:
            return
        invocation = container.invocation
        if invocation is not None and invocation.coroutine is coroutine:
            self.kernel.call_at(self.kernel.now, self.conclude, invocation, coroutine)
        self.kernel.kill(coroutine)

    # ------------------------------------------------------------------------ what runs

    def _has_room(self, function: Function) -> bool:
        if function.concurrency is not None:
            return function.busy < function.concurrency
        return self._shared_busy < self.concurrency - sum(
            each.concurrency for each in self.functions.values() if each.concurrency
        )

    def _begin(self, function: Function, event: Event, done: Done | None) -> None:
        function.invocations += 1
        function.busy += 1
        function.most_busy = max(function.most_busy, function.busy)
        if function.concurrency is None:
            self._shared_busy += 1
        self._invocations += 1
        container = self._idle_container(function)
        if container is not None:
            self._start(Invocation(container, event, done, self._invocations))
            return
        function.cold_starts += 1
        invocation = Invocation(Container(self, function), event, done, self._invocations)
        self.kernel.call_later(function.initialisation_seconds, self._start, invocation)

    def _idle_container(self, function: Function) -> Container | None:
        """The container that was used last; those that nobody used for long are dropped."""
        idle = function.idle
        expired = self.kernel.now - IDLE_SECONDS
        while idle and idle[0].idle_since < expired:
            idle.popleft()
        return idle.pop() if idle else None

    def _start(self, invocation: Invocation) -> None:
        container = invocation.container
        function = container.function
        container.invocation = invocation
        invocation.begun = self.kernel.now
        invocation.deadline = self.kernel.now + function.timeout_seconds
        function.running[invocation] = None
        if not function.watched:
            function.watched = True
            self.kernel.call_at(invocation.deadline, self._watch, function)
        name = function.name if function.scope is None else function.scope(invocation.event)
        invocation.coroutine = self.kernel.spawn(invocation.run, name, container, invocation.ended)

    def _watch(self, function: Function) -> None:
        """End what is past its deadline: one timer a function, as its timeout is one."""
        function.watched = False
        for invocation in list(function.running):
            if invocation.deadline > self.kernel.now:
                function.watched = True
                self.kernel.call_at(invocation.deadline, self._watch, function)
                return
            coroutine = invocation.coroutine
            assert coroutine is not None
            if coroutine.killed:
                self.conclude(invocation, coroutine)
                continue
            coroutine.on_end = None
            self.kernel.kill(coroutine)
            message = f"Task timed out after {function.timeout_seconds:.2f} seconds"
            self._finish(invocation, None, "Sandbox.Timedout", message)

    def conclude(self, invocation: Invocation, coroutine: Coroutine) -> None:
        """Say how a coroutine ended; its container waits for more unless it died with it."""
        if invocation not in invocation.container.function.running:
            return
        error = coroutine.error
        if coroutine.killed:
            self._finish(invocation, None, "Runtime.ExitError", "Runtime exited without a reason")
        elif isinstance(error, Exited):
            self._finish(invocation, None, "Runtime.ExitError", f"Runtime exited: {error}")
        elif error is not None:
            self._keep(invocation.container)
            self._finish(invocation, None, type(error).__name__, str(error))
            coroutine.error = None  # its traceback would hold every frame of the handler
        else:
            self._keep(invocation.container)
            problem = _unfit(coroutine.result)
            self._finish(invocation, None if problem else coroutine.result, *problem)

    def _keep(self, container: Container) -> None:
        if container.release != container.function.release:
            return
        container.idle_since = self.kernel.now
        container.function.idle.append(container)

    def _finish(
        self, invocation: Invocation, result: Any, error: str | None = None, message: str = ""
    ) -> None:
        container = invocation.container
        function = container.function
        container.invocation = None
        del function.running[invocation]
        function.busy -= 1
        if function.concurrency is None:
            self._shared_busy -= 1
        function.seconds += self.kernel.now - invocation.begun
        self.kernel.trace("lambda", function.name, error or "ok")
        if error is not None:
            function.errors[error] += 1
            message = (
                f"RequestId: {invocation.request_id} Error: {message}"
                if (error.startswith(("Sandbox.", "Runtime.")))
                else message
            )
        if invocation.done is not None:
            invocation.done(Answer(result, error, message, request_id=invocation.request_id))

    def _answer(self, done: Done | None, error: str, message: str) -> None:
        if done is not None:
            self.kernel.call_at(self.kernel.now, done, Answer(None, error, message, service=True))


def _unfit(result: Any) -> tuple[str, str] | tuple[()]:
    """Why a result can't be sent, if so."""
    if result is None:
        return ()
    try:
        size = len(json.dumps(result))
    except (TypeError, ValueError, RecursionError) as error:
        return "Runtime.MarshalError", f"Unable to marshal response: {error}"
    if size > PAYLOAD_BYTES:
        return (
            "Function.ResponseSizeTooLarge",
            f"Response payload size exceeded maximum allowed payload size ({PAYLOAD_BYTES} bytes).",
        )
    return ()


class _Sent:
    """An asynchronous event, until it was handled or given up."""

    __slots__ = ("event", "failures", "name", "sent_at", "service", "source", "throttled")

    def __init__(self, service: Lambda, name: str, event: str, source: str) -> None:
        self.service = service
        self.name = name
        self.event = event
        self.source = source
        self.sent_at = service.kernel.now
        self.failures = 0
        self.throttled = 0

    def attempt(self) -> None:
        self.service.invoke(self.name, json.loads(self.event), self._answered, self.source)

    def _answered(self, answer: Answer) -> None:
        if answer.error is None:
            return
        kernel = self.service.kernel
        if answer.service and answer.error != "ResourceNotFoundException":
            first, longest = THROTTLED_PAUSE_SECONDS
            pause = min(first * 2.0**self.throttled, longest)
            self.throttled += 1
            if kernel.now + pause <= self.sent_at + EVENT_AGE_SECONDS:
                kernel.call_later(pause, self.attempt)
                return
        elif not answer.service and self.failures < len(EVENT_PAUSES_SECONDS):
            self.failures += 1
            kernel.call_later(EVENT_PAUSES_SECONDS[self.failures - 1], self.attempt)
            return
        if self.service.discarded is not None:
            self.service.discarded(self.name, json.loads(self.event), answer)
