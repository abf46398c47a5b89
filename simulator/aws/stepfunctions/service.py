"""The service: state machines, their executions, and what is remembered of closed ones."""

from __future__ import annotations

import json
import re
from collections import deque
from collections.abc import Callable, Mapping
from typing import Any, Final

from simulator.aws.errors import Exceptions
from simulator.aws.lambda_ import Lambda
from simulator.aws.stepfunctions import definition, faults
from simulator.aws.stepfunctions.execution import ABORTED, RUNNING, Execution, Waiting
from simulator.aws.stepfunctions.faults import StateError
from simulator.aws.stepfunctions.interpreter import Interpreter
from simulator.aws.stepfunctions.payloads import PAYLOAD_BYTES
from simulator.aws.stepfunctions.states import Machine
from simulator.kernel import Kernel

ARN_PREFIX: Final = "arn:aws:states:us-east-1:000000000000"
MOST_OPEN: Final = 1_000_000
"""Quota of open executions in an account and region."""
NAME_KEPT_SECONDS: Final = 90 * 86400.0
"""So long the name of a closed execution stays taken, and the execution can be described."""
KEPT_HISTORIES: Final = 1000
"""Histories of closed executions that are kept, for memory's sake; the service keeps all."""
UPDATE_SECONDS: Final = 5.0
"""So long a start may still take the definition from before an update ("a few seconds")."""

_CODES: Final = (
    "ExecutionAlreadyExists",
    "ExecutionDoesNotExist",
    "ExecutionLimitExceeded",
    "InvalidArn",
    "InvalidExecutionInput",
    "InvalidName",
    "InvalidOutput",
    "InvalidToken",
    "StateMachineDoesNotExist",
    "TaskDoesNotExist",
    "TaskTimedOut",
)
EXCEPTIONS: Final = Exceptions(**{code: code for code in _CODES})
_NAME: Final = re.compile(r"[^\s<>{}\[\]?*\"#%\\^|~`$&,;:/\x00-\x1f\x7f-\x9f]{1,80}")


class StepFunctions:
    """All state machines of a region.

    Hooks of the faults: `most_open` is the quota of open executions (lower it to throttle starts);
    `lag` draws by how many seconds a description is behind (the service promises no more than
    eventual consistency); `expire` lets the task of a token time out now, `disturb` lets a task
    end with an error while its function goes on. `closed` is told of each
    execution that ended.
    """

    def __init__(
        self,
        kernel: Kernel,
        lambda_: Lambda,
        *,
        most_open: int = MOST_OPEN,
        kept_histories: int = KEPT_HISTORIES,
        closed: Callable[[Execution], None] | None = None,
    ) -> None:
        self.kernel = kernel
        self.most_open = most_open
        self.lag: Callable[[], float] | None = None
        self.closed = closed
        self.machines: dict[str, Machine] = {}
        self.executions: dict[str, Execution] = {}
        self.open = 0
        self.transitions = 0
        """State transitions of the closed executions: what is paid for."""
        self._interpreter = Interpreter(kernel, lambda_, self._ended)
        self._kept_histories = kept_histories
        self._former: dict[str, tuple[Machine, float]] = {}
        self._chance = kernel.stream("stepfunctions updates")
        self._told: deque[Execution] = deque()

    # ------------------------------------------------------------------------- machines

    def create(self, name: str, text: str, substitutions: Mapping[str, str] | None = None) -> str:
        """Create or update a state machine; open executions go on with their own definition."""
        arn = f"{ARN_PREFIX}:stateMachine:{name}"
        self.machines[arn] = definition.from_text(text, substitutions or {}, where=name)
        return arn

    def update(self, name: str, text: str, substitutions: Mapping[str, str]) -> None:
        """UpdateStateMachine: open executions go on with the definition that they began with.

        AWS: an execution that is started within a few seconds of it may use the former one too.
        """
        arn = f"{ARN_PREFIX}:stateMachine:{name}"
        self._former[arn] = self.machines[arn], self.kernel.now + UPDATE_SECONDS
        self.create(name, text, substitutions)

    def _present(self, arn: str) -> Machine | None:
        """The definition that an execution is to begin with; None when there is no such machine."""
        machine, until = self._former.get(arn, (None, 0.0))
        if machine is not None and self.kernel.now < until and self._chance.random() < 0.5:
            return machine
        return self.machines.get(arn)

    def create_all(
        self, definitions: Mapping[str, str], substitutions: Mapping[str, str]
    ) -> list[str]:
        """Create machines from their definitions by name."""
        return [self.create(name, text, substitutions) for name, text in definitions.items()]

    # ----------------------------------------------------------------------- executions

    def start(self, machine_arn: str, name: str, text: str) -> Execution:
        """Start an execution, or find the open one of that name and input."""
        operation = "StartExecution"
        machine = self._present(machine_arn)
        if machine is None:
            message = f"State Machine Does Not Exist: '{machine_arn}'"
            raise EXCEPTIONS.make("StateMachineDoesNotExist", operation, message)
        if not _NAME.fullmatch(name):
            raise EXCEPTIONS.make("InvalidName", operation, f"Invalid Name: '{name}'")
        document = _document(text, "InvalidExecutionInput", operation)
        arn = f"{machine_arn.replace(':stateMachine:', ':execution:')}:{name}"
        known = self.find(arn)
        if known is not None:
            if known.status == RUNNING and known.input == text:
                return known
            message = f"Execution Already Exists: '{arn}'"
            raise EXCEPTIONS.make("ExecutionAlreadyExists", operation, message)
        if self.open >= self.most_open:
            message = "The maximum number of running executions has been reached."
            raise EXCEPTIONS.make("ExecutionLimitExceeded", operation, message)
        execution = Execution(arn, machine_arn, name, text, self.kernel.now)
        self.executions.pop(arn, None)  # a forgotten one: the new one is the youngest
        self.executions[arn] = execution
        self.open += 1
        self._interpreter.start(execution, machine, document)
        return execution

    def find(self, arn: str) -> Execution | None:
        """An execution that is open, or was closed less than 90 days ago."""
        execution = self.executions.get(arn)
        if execution is None or execution.status == RUNNING:
            return execution
        return execution if self.kernel.now < execution.stopped + NAME_KEPT_SECONDS else None

    def stop(
        self, execution: Execution, error: str | None = None, cause: str | None = None
    ) -> None:
        """Abort an execution; one that is closed stays as it is."""
        if execution.status == RUNNING:
            self._interpreter.stop(execution, ABORTED, error, cause)

    def _ended(self, execution: Execution) -> None:
        self.open -= 1
        self.transitions += execution.transitions
        self._told.append(execution)
        if len(self._told) > self._kept_histories:
            self._told.popleft().history.clear()
        if self.closed is not None:
            self.closed(execution)

    # --------------------------------------------------------------------------- tokens

    def succeed(self, token: str, output: str) -> None:
        """Answer a token."""
        operation = "SendTaskSuccess"
        result = _document(output, "InvalidOutput", operation)
        self._interpreter.tasks.succeed(self._task(token, operation), result)

    def fail(self, token: str, error: str, cause: str) -> None:
        """Let a token's task fail."""
        self._interpreter.tasks.fail(self._task(token, "SendTaskFailure"), error, cause)

    def beat(self, token: str) -> None:
        """Tell that a token's task is still worked on."""
        self._interpreter.tasks.beat(self._task(token, "SendTaskHeartbeat"))

    def expire(self, token: str, error: str = faults.TIMEOUT) -> None:
        """Let a token's task time out before its time."""
        self._interpreter.tasks.time_out(self._task(token, "SendTaskHeartbeat").number, error)

    def disturb(self, execution: Execution, error: StateError) -> int:
        """Let the tasks at which an execution is end with an error of the service, while their
        functions go on; answers how many there were."""
        tasks = self._interpreter.tasks
        found = tasks.of(execution)
        for waiting in found:
            tasks.disturb(waiting.number, error)
        return len(found)

    def _task(self, token: str, operation: str) -> Waiting:
        waiting = self._interpreter.tasks.find(token)
        if waiting is not None:
            return waiting
        if self._interpreter.tasks.number(token):
            message = "Task Timed Out: 'Provided task does not exist anymore'"
            raise EXCEPTIONS.make("TaskTimedOut", operation, message)
        raise EXCEPTIONS.make("InvalidToken", operation, "Invalid Token: 'Invalid token'")


def _document(text: str, code: str, operation: str) -> Any:
    """A document that a client sent."""
    if len(text) * 4 > PAYLOAD_BYTES and len(text.encode()) > PAYLOAD_BYTES:
        raise EXCEPTIONS.make(code, operation, f"{code}: longer than {PAYLOAD_BYTES} bytes")
    try:
        return json.loads(text)
    except ValueError as error:
        raise EXCEPTIONS.make(code, operation, f"{code}: '{error}'") from None
