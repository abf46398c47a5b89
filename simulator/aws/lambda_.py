"""Lambda: functions, their containers, and invocations that end, time out, crash or are throttled.

An invocation is a coroutine of its own and holds a container to itself: a handler is not
re-entrant. An idle container costs nothing: no event waits to take it away.
"""

from __future__ import annotations

import json
from collections import Counter, deque
from collections.abc import Callable
from enum import Enum
from typing import Any, Final

from simulator.kernel import Coroutine, Kernel

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
INITIALISATION_SECONDS: Final = 0.4
"""How long a new container takes before its first invocation begins."""
ARN_PREFIX: Final = "arn:aws:lambda:us-east-1:000000000000:function:"

Event = Any
Handler = Callable[[Event, "Context"], Any]


class Fate(Enum):
    """What a fault makes of an invocation before it begins."""

    RUN = "run"
    THROTTLE = "throttle"
    FAIL = "fail"  # Lambda itself answers 500
    TWICE = "twice"  # a second run beside it, whose answer nobody reads


class Answer:
    """How an invocation ended: a result, or an error type with its message.

    `service` tells an error of Lambda itself (throttled, not found) from one of the function.
    """

    __slots__ = ("error", "message", "request_id", "result", "service")

    def __init__(
        self,
        result: Any = None,
        error: str | None = None,
        message: str = "",
        *,
        service: bool = False,
        request_id: str = "",
    ) -> None:
        self.result = result
        self.error = error
        self.message = message
        self.service = service
        self.request_id = request_id

    def document(self) -> dict[str, Any]:
        """The error as Lambda writes it into the payload."""
        document: dict[str, Any] = {"errorType": self.error, "errorMessage": self.message}
        if not (self.error or "").startswith(("Sandbox.", "Runtime.")):
            document.update(requestId=self.request_id, stackTrace=[])
        return document


Done = Callable[[Answer], None]


class Function:
    """A deployed function.

    `make_handler` makes one container's state and returns its handler; `scope` names an
    invocation for counting and crash plans (the function's name, unless the event tells);
    `concurrency` is what is reserved for it, None to share what is left of the account.
    """

    __slots__ = (
        "busy",
        "cold_starts",
        "concurrency",
        "errors",
        "idle",
        "initialisation_seconds",
        "invocations",
        "make_handler",
        "memory_mib",
        "most_busy",
        "name",
        "running",
        "scope",
        "seconds",
        "throttles",
        "timeout_seconds",
        "watched",
    )

    def __init__(
        self,
        name: str,
        make_handler: Callable[[], Handler],
        *,
        timeout_seconds: float = 3.0,
        memory_mib: int = 128,
        concurrency: int | None = None,
        scope: Callable[[Event], str] | None = None,
        initialisation_seconds: float = INITIALISATION_SECONDS,
    ) -> None:
        self.name = name
        self.make_handler = make_handler
        self.timeout_seconds = timeout_seconds
        self.memory_mib = memory_mib
        self.concurrency = concurrency
        self.scope = scope
        self.initialisation_seconds = initialisation_seconds
        self.idle: deque[Container] = deque()
        self.running: dict[Invocation, None] = {}
        self.watched = False
        self.busy = 0
        self.most_busy = 0
        self.invocations = 0
        self.cold_starts = 0
        self.throttles = 0
        self.errors: Counter[str] = Counter()
        self.seconds = 0.0
        """Virtual seconds of all invocations: times `memory_mib`, what is paid for."""


class Container:
    """One copy of a function's process: it runs one invocation at a time and then waits.

    It owns its coroutines: they die together.
    """

    __slots__ = ("function", "handler", "idle_since", "invocation", "service")

    def __init__(self, service: Lambda, function: Function) -> None:
        self.service = service
        self.function = function
        self.handler = function.make_handler()
        self.idle_since = 0.0
        self.invocation: Invocation | None = None


class Context:
    """What a handler is told about its invocation."""

    __slots__ = ("_invocation",)

    function_version: Final = "$LATEST"
    log_group_name: Final = ""
    log_stream_name: Final = ""
    identity: Final = None
    client_context: Final = None

    def __init__(self, invocation: Invocation) -> None:
        self._invocation = invocation

    @property
    def aws_request_id(self) -> str:
        return self._invocation.request_id

    @property
    def function_name(self) -> str:
        return self._invocation.container.function.name

    @property
    def invoked_function_arn(self) -> str:
        return ARN_PREFIX + self.function_name

    @property
    def memory_limit_in_mb(self) -> str:
        return str(self._invocation.container.function.memory_mib)

    def get_remaining_time_in_millis(self) -> int:
        invocation = self._invocation
        return max(0, int((invocation.deadline - invocation.container.service.kernel.now) * 1000))


class Exited(Exception):
    """A handler left its process."""


class Invocation:
    """One run of a handler, from its begin to the one call of `done`."""

    __slots__ = ("begun", "container", "coroutine", "deadline", "done", "event", "number")

    def __init__(self, container: Container, event: Event, done: Done | None, number: int) -> None:
        self.container = container
        self.event = event
        self.done = done
        self.number = number
        self.begun = 0.0
        self.deadline = 0.0
        self.coroutine: Coroutine | None = None

    @property
    def request_id(self) -> str:
        return f"00000000-0000-4000-a000-{self.number:012x}"

    def run(self) -> Any:
        """The coroutine's body."""
        try:
            return self.container.handler(self.event, Context(self))
        except SystemExit as left:
            raise Exited(str(left.code)) from None

    def ended(self, coroutine: Coroutine) -> None:
        """The coroutine returned or raised (or was killed, where that is told)."""
        self.container.service.conclude(self, coroutine)


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
