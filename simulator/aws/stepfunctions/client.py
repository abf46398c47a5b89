"""The client: what stands where `boto3.client("stepfunctions")` stands."""
# ruff: noqa: N803 - the arguments are boto3's

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Any, Final, TypeVar

from simulator.aws.stepfunctions.execution import RUNNING, Execution
from simulator.aws.stepfunctions.history import event
from simulator.aws.stepfunctions.service import EXCEPTIONS, StepFunctions
from simulator.effects import Effects

T = TypeVar("T")

PAGE: Final = 100


class StepFunctionsClient:
    """Methods take boto3's arguments, answer in its shapes and raise its errors."""

    exceptions = EXCEPTIONS

    def __init__(self, service: StepFunctions, effects: Effects) -> None:
        self._service = service
        self._effects = effects

    # ----------------------------------------------------------------------- executions

    def start_execution(
        self,
        *,
        stateMachineArn: str,
        name: str,
        input: str = "{}",  # noqa: A002
    ) -> dict[str, Any]:
        """Start an execution. A name is asked for: nothing here makes one up."""

        def call() -> dict[str, Any]:
            execution = self._service.start(stateMachineArn, name, input)
            return {"executionArn": execution.arn, "startDate": _date(execution.started)}

        what = {"stateMachineArn": stateMachineArn, "name": name, "input": input}
        return self._perform("StartExecution", call, **what)

    def describe_execution(self, *, executionArn: str) -> dict[str, Any]:
        """How an execution stands, perhaps a little while ago."""

        def call() -> dict[str, Any]:
            lag = self._service.lag
            seen_at = self._service.kernel.now - (lag() if lag is not None else 0.0)
            return _description(self._find(executionArn, "DescribeExecution", seen_at), seen_at)

        return self._perform("DescribeExecution", call, executionArn=executionArn)

    def stop_execution(
        self, *, executionArn: str, error: str | None = None, cause: str | None = None
    ) -> dict[str, Any]:
        """Abort an execution."""

        def call() -> dict[str, Any]:
            execution = self._find(executionArn, "StopExecution")
            self._service.stop(execution, error, cause)
            return {"stopDate": _date(execution.stopped)}

        return self._perform("StopExecution", call, executionArn=executionArn)

    def list_executions(
        self,
        *,
        stateMachineArn: str,
        statusFilter: str | None = None,
        maxResults: int = PAGE,
        nextToken: str | None = None,
    ) -> dict[str, Any]:
        """Executions of a machine, the youngest first."""

        def call() -> dict[str, Any]:
            if stateMachineArn not in self._service.machines:
                message = f"State Machine Does Not Exist: '{stateMachineArn}'"
                raise EXCEPTIONS.make("StateMachineDoesNotExist", "ListExecutions", message)
            found = [
                execution
                for execution in reversed(self._service.executions.values())
                if execution.machine_arn == stateMachineArn
                and statusFilter in (None, execution.status)
                and self._service.find(execution.arn) is execution
            ]
            return _page("executions", found, _summary, maxResults, nextToken)

        return self._perform("ListExecutions", call, stateMachineArn=stateMachineArn)

    def get_execution_history(
        self,
        *,
        executionArn: str,
        maxResults: int = PAGE,
        nextToken: str | None = None,
        reverseOrder: bool = False,
        includeExecutionData: bool = True,
    ) -> dict[str, Any]:
        """The events of an execution; LookupError for one that the simulation has dropped."""

        def call() -> dict[str, Any]:
            execution = self._find(executionArn, "GetExecutionHistory")
            history = execution.history
            if len(history) < execution.events:
                raise LookupError(f"{execution.name}: its history was dropped (kept_histories)")

            def show(index: int) -> dict[str, Any]:
                return event(index + 1, history[index], with_data=includeExecutionData)

            indexes = range(len(history))
            ordered = indexes[::-1] if reverseOrder else indexes
            return _page("events", ordered, show, maxResults, nextToken)

        return self._perform("GetExecutionHistory", call, executionArn=executionArn)

    # --------------------------------------------------------------------------- tokens

    def send_task_success(self, *, taskToken: str, output: str) -> dict[str, Any]:
        """Answer a task that waits for its token."""

        def call() -> dict[str, Any]:
            self._service.succeed(taskToken, output)
            return {}

        return self._perform("SendTaskSuccess", call, taskToken=taskToken, output=output)

    def send_task_failure(
        self, *, taskToken: str, error: str = "", cause: str = ""
    ) -> dict[str, Any]:
        """Let a task that waits for its token fail."""

        def call() -> dict[str, Any]:
            self._service.fail(taskToken, error, cause)
            return {}

        return self._perform("SendTaskFailure", call, taskToken=taskToken, error=error)

    def send_task_heartbeat(self, *, taskToken: str) -> dict[str, Any]:
        """Keep a task alive."""

        def call() -> dict[str, Any]:
            self._service.beat(taskToken)
            return {}

        return self._perform("SendTaskHeartbeat", call, taskToken=taskToken)

    # -------------------------------------------------------------------------- helpers

    def _perform(self, operation: str, function: Callable[[], T], **what: Any) -> T:
        return self._effects.perform("stepfunctions", operation, function, **what)

    def _find(self, arn: str, operation: str, seen_at: float | None = None) -> Execution:
        if ":execution:" not in arn:
            raise EXCEPTIONS.make("InvalidArn", operation, f"Invalid Arn: '{arn}'")
        execution = self._service.find(arn)
        if execution is None or (seen_at is not None and execution.started > seen_at):
            message = f"Execution Does Not Exist: '{arn}'"
            raise EXCEPTIONS.make("ExecutionDoesNotExist", operation, message)
        return execution


def _date(when: float) -> datetime:
    return datetime.fromtimestamp(when, UTC)


def _summary(execution: Execution) -> dict[str, Any]:
    summary: dict[str, Any] = {
        "executionArn": execution.arn,
        "stateMachineArn": execution.machine_arn,
        "name": execution.name,
        "status": execution.status,
        "startDate": _date(execution.started),
    }
    if execution.status != RUNNING:
        summary["stopDate"] = _date(execution.stopped)
    return summary


def _description(execution: Execution, seen_at: float) -> dict[str, Any]:
    """The execution as it stood at a time."""
    description = _summary(execution) | {"input": execution.input}
    if execution.status != RUNNING and execution.stopped > seen_at:
        del description["stopDate"]
        return description | {"status": RUNNING}
    for key in ("output", "error", "cause"):
        value = getattr(execution, key)
        if value is not None:
            description[key] = value
    return description


def _page(
    key: str, rows: Sequence[T], show: Callable[[T], dict[str, Any]], most: int, token: str | None
) -> dict[str, Any]:
    start = int(token or 0)
    end = start + (most or PAGE)
    page: dict[str, Any] = {key: [show(row) for row in rows[start:end]]}
    if end < len(rows):
        page["nextToken"] = str(end)
    return page
