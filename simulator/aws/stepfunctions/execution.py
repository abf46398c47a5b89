"""An execution as plain data: its frames, its history, and what is left when it is closed."""

from __future__ import annotations

from typing import Any, Final

from simulator.aws.stepfunctions.faults import HistoryFull
from simulator.aws.stepfunctions.states import Machine, State

MOST_HISTORY_EVENTS: Final = 25_000

RUNNING: Final = "RUNNING"
SUCCEEDED: Final = "SUCCEEDED"
FAILED: Final = "FAILED"
TIMED_OUT: Final = "TIMED_OUT"
ABORTED: Final = "ABORTED"

Happened = tuple[float, str, str, Any]
"""An event of the history: time, type, the state's or error's name, document or cause."""


class Frame:
    """One thread of an execution: the execution itself, or a branch of a Parallel or Map state.

    `document` is the raw input of the state it stands in; `wait` is the number under which the
    interpreter knows what it waits for, 0 when it waits for nothing.
    """

    __slots__ = (
        "document",
        "entered",
        "execution",
        "index",
        "item",
        "left",
        "machine",
        "open",
        "parent",
        "pending",
        "results",
        "retries",
        "state",
        "used",
        "wait",
    )

    def __init__(
        self,
        execution: Execution,
        machine: Machine,
        document: Any,
        parent: Frame | None = None,
        index: int = 0,
        item: tuple[Any, ...] = (),
    ) -> None:
        self.execution = execution
        self.machine = machine
        self.state: State = machine.states[machine.start_at]
        self.document = document
        self.parent = parent
        self.index = index
        self.item = item
        self.entered = 0.0
        self.retries = 0
        self.used: dict[int, int] = {}
        self.wait = 0
        # Of a Parallel or Map state that runs:
        self.open: dict[int, Frame] = {}
        self.pending: list[Frame] = []
        self.results: list[Any] = []
        self.left = 0


class Execution:
    """One execution. `root` is None once it is closed."""

    __slots__ = (
        "arn",
        "cause",
        "error",
        "events",
        "history",
        "input",
        "machine_arn",
        "name",
        "output",
        "root",
        "started",
        "status",
        "stopped",
        "transitions",
    )

    def __init__(self, arn: str, machine_arn: str, name: str, text: str, started: float) -> None:
        self.arn = arn
        self.machine_arn = machine_arn
        self.name = name
        self.input = text
        self.started = started
        self.status = RUNNING
        self.stopped = 0.0
        self.output: str | None = None
        self.error: str | None = None
        self.cause: str | None = None
        self.root: Frame | None = None
        self.history: list[Happened] = []
        self.events = 0
        self.transitions = 0

    def record(self, now: float, kind: str, name: str = "", detail: Any = None) -> None:
        """Add an event to the history; HistoryFull when only the end still fits."""
        if self.events >= MOST_HISTORY_EVENTS - 1 and kind != "ExecutionSucceeded":
            raise HistoryFull
        self.events += 1
        self.history.append((now, kind, name, detail))

    def record_end(self, now: float, kind: str, name: str = "", detail: Any = None) -> None:
        """Add the last event, for which there is always room."""
        self.events += 1
        self.history.append((now, kind, name, detail))


class Waiting:
    """What a frame waits for: a pause, a function's answer, or an answer to a token.

    `beaten` is when the task's last heartbeat came, where `heartbeat_seconds` asks for them;
    `is_task` tells a task that is scheduled from a pause.
    """

    __slots__ = ("beaten", "frame", "heartbeat_seconds", "is_task", "number", "token")

    def __init__(self, number: int, frame: Frame) -> None:
        self.number = number
        self.frame = frame
        self.token = ""
        self.is_task = False
        self.heartbeat_seconds = 0.0
        self.beaten = 0.0
