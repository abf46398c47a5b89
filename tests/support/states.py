"""Step Functions in memory: runs the deployed definitions on the world's clock.

The subset of the language that the rendered flows use: Task (a function, or one that waits
for a task token), Choice on StringEquals, Wait, Succeed, Fail, Retry and Catch.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any, Final

from infra.package.state_machines import rendered
from simulator.aws.errors import client_error
from tests.support.world import Killed, World

RUNNING: Final = "RUNNING"
MOST_TRANSITIONS: Final = 25_000  # the history of a standard execution ends here

Invoke = Callable[[str, dict[str, Any]], dict[str, Any]]


def definition(name: str) -> dict[str, Any]:
    """The deployed definition of a flow."""
    made: dict[str, Any] = json.loads(rendered()[name])
    return made


class Execution:
    """One execution; `wake` is when it goes on, None while only a token can wake it."""

    def __init__(self, machine: dict[str, Any], document: dict[str, Any], now: float) -> None:
        self.machine = machine
        self.document = document
        self.state: str = machine["StartAt"]
        self.status = RUNNING
        self.wake = now
        self.token: str | None = None
        self.answer: dict[str, Any] | None = None
        self.retries: dict[int, int] = {}
        self.path: list[str] = [self.state]

    def go(self, state: str) -> None:
        self.state, self.retries, self.token, self.answer = state, {}, None, None
        self.path.append(state)
        assert len(self.path) < MOST_TRANSITIONS


class StepFunctions:
    """The client, and the machine behind it: `advance` runs what is due."""

    def __init__(self, world: World, invoke: Invoke) -> None:
        self.world = world
        self.invoke = invoke
        self.executions: dict[str, Execution] = {}
        self.tokens: dict[str, Execution] = {}
        self.documents: list[str] = []
        self.notices_deaths = True
        """Whether a task that waits for its token fails when its function does, as on AWS."""

    def start_execution(
        self,
        *,
        stateMachineArn: str,  # noqa: N803
        name: str,
        input: str,  # noqa: A002
    ) -> dict[str, Any]:
        """Start an execution; the same name and input again is success while it runs."""
        arn = f"{stateMachineArn.replace(':stateMachine:', ':execution:')}:{name}"
        known = self.executions.get(arn)
        if known is not None and known.status != RUNNING:
            raise client_error("ExecutionAlreadyExists", "StartExecution")
        if known is None:
            flow = stateMachineArn.rsplit(":", 1)[1].removeprefix("coffer-").replace("-", "_")
            self.documents.append(input)
            self.executions[arn] = Execution(definition(flow), json.loads(input), self.world.now)
        return {"executionArn": arn}

    def describe_execution(self, *, executionArn: str) -> dict[str, Any]:  # noqa: N803
        """How an execution stands."""
        if executionArn not in self.executions:
            raise client_error("ExecutionDoesNotExist", "DescribeExecution")
        return {"status": self.executions[executionArn].status}

    def send_task_success(self, *, taskToken: str, output: str) -> None:  # noqa: N803
        """Complete a token that is still waited for."""
        execution = self.tokens.get(taskToken)
        if execution is None:
            raise client_error("InvalidToken", "SendTaskSuccess")
        if execution.token != taskToken or execution.answer is not None:
            raise client_error("TaskTimedOut", "SendTaskSuccess")
        self.documents.append(output)
        execution.answer = json.loads(output)
        execution.wake = self.world.now

    def stop_execution(self, *, executionArn: str, error: str, cause: str) -> None:  # noqa: N803
        """Abort an execution that runs."""
        del error, cause
        if self.executions[executionArn].status == RUNNING:
            self.stop(executionArn)

    def stop(self, arn: str) -> None:
        """Abort an execution, as an operator could."""
        self.executions[arn].status = "ABORTED"

    def next_wake(self) -> float | None:
        """When the next execution goes on."""
        wakes = [each.wake for each in self.executions.values() if each.status == RUNNING]
        return min(wakes, default=None)

    def advance(self) -> bool:
        """Run one state of each execution that is due; whether there was any."""
        due = [
            each
            for each in self.executions.values()
            if each.status == RUNNING and each.wake <= self.world.now
        ]
        for execution in due:
            self._step(execution, execution.machine["States"][execution.state])
        return bool(due)

    def _step(self, execution: Execution, state: dict[str, Any]) -> None:
        match state["Type"]:
            case "Task" if state["Resource"].endswith(".waitForTaskToken"):
                self._wait_for_token(execution, state)
            case "Task":
                self._task(execution, state)
            case "Choice":
                execution.go(_chosen(execution.document, state))
            case "Wait":
                self._wait(execution, state)
            case "Succeed":
                execution.status = "SUCCEEDED"
            case "Fail":
                execution.status = "FAILED"
            case other:
                raise AssertionError(f"{other} is not known here")

    def _wait(self, execution: Execution, state: dict[str, Any]) -> None:
        seconds = _get(execution.document, state["SecondsPath"])
        assert isinstance(seconds, int)
        assert seconds > 0
        execution.wake = self.world.now + seconds
        execution.go(state["Next"])

    def _task(self, execution: Execution, state: dict[str, Any]) -> None:
        payload = _resolve(state["Parameters"], execution, "")
        try:
            result = self.invoke(state["Resource"], payload)
        except (Exception, Killed):  # noqa: BLE001 - whatever a function raises fails its task
            self._failed(execution, state, "States.TaskFailed")
            return
        self._done(execution, state, result)

    def _wait_for_token(self, execution: Execution, state: dict[str, Any]) -> None:
        if execution.answer is not None:
            self._done(execution, state, execution.answer)
            return
        if execution.token is not None:
            execution.token = None
            self._failed(execution, state, "States.Timeout")
            return
        token = execution.token = f"token-{self.world.new_id()}"
        self.tokens[token] = execution
        execution.wake = self.world.now + state["TimeoutSeconds"]
        parameters = _resolve(state["Parameters"], execution, token)
        try:
            self.invoke(parameters["FunctionName"], parameters["Payload"])
        except (Exception, Killed):  # noqa: BLE001
            if self.notices_deaths and not execution.answer:
                execution.token = None
                self._failed(execution, state, "States.TaskFailed")

    def _done(self, execution: Execution, state: dict[str, Any], result: Any) -> None:
        self.documents.append(json.dumps(result))
        if state.get("ResultPath", "$") == "$.result":
            execution.document = {**execution.document, "result": result}
        execution.wake = self.world.now
        if state.get("End"):
            execution.status = "SUCCEEDED"
        else:
            execution.go(state["Next"])

    def _failed(self, execution: Execution, state: dict[str, Any], error: str) -> None:
        execution.answer = None
        for number, retry in enumerate(state.get("Retry", [])):
            used = execution.retries.get(number, 0)
            if _matches(error, retry["ErrorEquals"]) and used < retry.get("MaxAttempts", 3):
                pause = retry.get("IntervalSeconds", 1) * retry.get("BackoffRate", 2) ** used
                execution.wake = self.world.now + min(pause, retry.get("MaxDelaySeconds", pause))
                execution.retries[number] = used + 1
                return
        execution.wake = self.world.now
        for catch in state.get("Catch", []):
            if _matches(error, catch["ErrorEquals"]):
                assert catch["ResultPath"] is None
                execution.go(catch["Next"])
                return
        execution.status = "FAILED"


def _matches(error: str, names: list[str]) -> bool:
    return error in names or "States.ALL" in names


def _chosen(document: dict[str, Any], state: dict[str, Any]) -> str:
    for choice in state["Choices"]:
        if _get(document, choice["Variable"]) == choice["StringEquals"]:
            return str(choice["Next"])
    return str(state["Default"])


def _resolve(template: Any, execution: Execution, token: str) -> Any:
    if not isinstance(template, dict):
        return template
    made: dict[str, Any] = {}
    for name, value in template.items():
        if name.endswith(".$"):
            found = token if value == "$$.Task.Token" else _get(execution.document, value)
            made[name.removesuffix(".$")] = found
        else:
            made[name] = _resolve(value, execution, token)
    return made


def _get(document: dict[str, Any], path: str) -> Any:
    assert path.startswith("$.")
    node: Any = document
    for step in path.removeprefix("$.").split("."):
        node = node[step]
    return node
