"""What goes wrong in an execution and in a definition, and which names a Retry or Catch matches."""

from __future__ import annotations

from typing import Final

ALL: Final = "States.ALL"
TASK_FAILED: Final = "States.TaskFailed"
TIMEOUT: Final = "States.Timeout"
HEARTBEAT_TIMEOUT: Final = "States.HeartbeatTimeout"
RUNTIME: Final = "States.Runtime"
DATA_LIMIT: Final = "States.DataLimitExceeded"
PARAMETER_PATH: Final = "States.ParameterPathFailure"
RESULT_PATH: Final = "States.ResultPathMatchFailure"
NO_CHOICE: Final = "States.NoChoiceMatched"

TIMEOUTS: Final = (TIMEOUT, HEARTBEAT_TIMEOUT)

_TERMINAL: Final = (RUNTIME, DATA_LIMIT)
"""What no wildcard matches."""


class DefinitionError(Exception):
    """A definition that the service would refuse, or that this interpreter does not know."""


class StateError(Exception):
    """An error that a state reports: its name and its cause."""

    def __init__(self, name: str, cause: str) -> None:
        super().__init__(f"{name}: {cause}")
        self.name = name
        self.cause = cause


class HistoryFull(Exception):
    """The execution's history has no room for another event."""


def matches(error: str, names: tuple[str, ...]) -> bool:
    """Whether an `ErrorEquals` matches an error.

    AWS: States.ALL matches any name but States.DataLimitExceeded and States.Runtime;
    States.TaskFailed any but States.Timeout (and those two, which end the execution).
    """
    if error in names:
        return True
    if error in _TERMINAL:
        return False
    return ALL in names or (TASK_FAILED in names and error != TIMEOUT)
