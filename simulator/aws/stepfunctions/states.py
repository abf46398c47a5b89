"""What a definition is compiled to: one small object for each state, retrier and catcher."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Final

from simulator.aws.stepfunctions.choices import Rule
from simulator.aws.stepfunctions.paths import Path, Template

DEFAULT_TASK_SECONDS: Final = 99_999_999
MOST_SECONDS: Final = 99_999_999

_WHOLE: Final = Path("$")


@dataclass(slots=True, eq=False)
class Retrier:
    """One entry of `Retry`."""

    errors: tuple[str, ...]
    interval_seconds: float = 1.0
    backoff: float = 2.0
    attempts: int = 3
    most_seconds: float | None = None
    jitter: bool = False

    def pause_seconds(self, used: int) -> float:
        """How long to wait before the attempt after `used` retries, without jitter."""
        try:
            pause = self.interval_seconds * self.backoff**used
        except OverflowError:
            pause = float(MOST_SECONDS)
        return min(pause, MOST_SECONDS if self.most_seconds is None else self.most_seconds)


@dataclass(slots=True, eq=False)
class Catcher:
    """One entry of `Catch`; no `result_path` means that the error is discarded."""

    errors: tuple[str, ...]
    following: str
    result_path: Path | None = _WHOLE


@dataclass(slots=True, eq=False)
class State:
    """What every type of state may have. `following` is None at an end."""

    name: str
    type: str
    following: str | None = None
    input_path: Path | None = _WHOLE
    output_path: Path | None = _WHOLE
    parameters: Template | None = None
    result_selector: Template | None = None
    result_path: Path | None = _WHOLE
    retriers: tuple[Retrier, ...] = ()
    catchers: tuple[Catcher, ...] = ()


@dataclass(slots=True, eq=False)
class Task(State):
    """A Lambda function, called by its ARN or by the invoke integration."""

    resource: str = ""
    timeout_seconds: float | Path = DEFAULT_TASK_SECONDS
    heartbeat_seconds: float | Path | None = None


@dataclass(slots=True, eq=False)
class Choice(State):
    """Rules in their order, each with the state it leads to."""

    rules: tuple[tuple[Rule, str], ...] = ()
    default: str | None = None


@dataclass(slots=True, eq=False)
class Wait(State):
    """Waits for seconds or until a time; either may be a path."""

    seconds: float | Path | None = None
    until: float | Path | None = None


@dataclass(slots=True, eq=False)
class Pass(State):
    """Hands its input or a fixed result on."""

    result: tuple[Any, ...] = ()


@dataclass(slots=True, eq=False)
class Fail(State):
    """Ends the execution (or the branch) with an error."""

    error: str | Path = ""
    cause: str | Path = ""


@dataclass(slots=True, eq=False)
class Parallel(State):
    """Branches that all get the state's input."""

    branches: tuple[Machine, ...] = ()


@dataclass(slots=True, eq=False)
class Map(State):
    """One machine, run for each item of a list."""

    items_path: Path = _WHOLE
    processor: Machine | None = None
    most_running: int = 0


@dataclass(slots=True, eq=False)
class Machine:
    """A state machine, or a branch of one."""

    start_at: str
    states: dict[str, State] = field(default_factory=dict)
    timeout_seconds: float | None = None
