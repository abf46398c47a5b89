"""Functions as they are deployed, their containers, and one invocation of each."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable
from enum import Enum
from typing import Any, Final, Protocol

from simulator.kernel import Coroutine, Kernel

INITIALISATION_SECONDS: Final = 0.4
"""How long a new container takes before its first invocation begins."""
ARN_PREFIX: Final = "arn:aws:lambda:us-east-1:000000000000:function:"

Event = Any
Handler = Callable[[Event, "Context"], Any]


class Service(Protocol):
    """What an invocation asks of Lambda."""

    kernel: Kernel

    def conclude(self, invocation: Invocation, coroutine: Coroutine) -> None:
        """Say how a coroutine ended."""


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
        "release",
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
        self.release = 0
        """How often its code was updated."""
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

    It owns its coroutines: they die together, and with them its `memory`, which it keeps from one
    invocation to the next (`chalicelib.aws.remembered`). `release` is the one of the function whose
    code it has loaded.
    """

    __slots__ = ("function", "handler", "idle_since", "invocation", "memory", "release", "service")

    def __init__(self, service: Service, function: Function) -> None:
        self.service = service
        self.function = function
        self.release = function.release
        self.handler = function.make_handler()
        self.memory: dict[str, Any] = {}
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
