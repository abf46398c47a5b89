"""A small region: scripted functions and state machines on a kernel."""

from __future__ import annotations

import json
from collections import Counter
from typing import Any, Final

from simulator.aws.lambda_ import Function, Handler, Lambda
from simulator.aws.stepfunctions import StepFunctions, StepFunctionsClient
from simulator.effects import Effects
from simulator.kernel import START, Kernel
from tests.simulator.flows import scripted

FUNCTION: Final = "arn:aws:lambda:us-east-1:000000000000:function:scripted"
INVOKE: Final = "arn:aws:states:::lambda:invoke"
AND_WAIT: Final = f"{INVOKE}.waitForTaskToken"
LONG: Final = 60 * 86400.0

Definition = dict[str, Any]


class Flows:
    """Kernel, functions, state machines and the client in front of them."""

    def __init__(self, seed: int = 1) -> None:
        self.kernel = Kernel(seed)
        self.effects = Effects(self.kernel)
        self.lambda_ = Lambda(self.kernel)
        self.service = StepFunctions(self.kernel, self.lambda_)
        self.client = StepFunctionsClient(self.service, self.effects)
        self.calls: Counter[str] = Counter()
        self.seen: list[Any] = []
        self.function = self.lambda_.add(
            Function("scripted", self._make_handler, timeout_seconds=60.0)
        )

    def _make_handler(self) -> Handler:
        def handler(event: Any, _: object) -> Any:
            self.seen.append(event)
            return scripted.run(event, self)

        return handler

    # What the script asks of its surroundings.

    def count(self, key: str) -> int:
        self.calls[key] += 1
        return self.calls[key] - 1

    def sleep(self, seconds: float) -> None:
        self.kernel.sleep(seconds)

    def leave(self) -> None:
        running = self.kernel.current
        assert running is not None
        self.lambda_.crash(running)

    def answer(self, token: str, output: Any) -> None:
        self.client.send_task_success(taskToken=token, output=json.dumps(output))

    def fail(self, token: str, error: str) -> None:
        self.client.send_task_failure(taskToken=token, error=error, cause="scripted")

    # What a test does.

    def create(self, definition: Definition, name: str = "machine") -> str:
        """Deploy a machine; its ARN."""
        return self.service.create(name, json.dumps(definition))

    def start(self, definition: Definition, document: Any = None, name: str = "execution") -> str:
        """Deploy a machine and start an execution; its ARN."""
        machine = self.create(definition)
        text = json.dumps({} if document is None else document)
        started = self.client.start_execution(stateMachineArn=machine, name=name, input=text)
        return str(started["executionArn"])

    def run(self, seconds: float = LONG) -> None:
        """Let virtual time pass."""
        self.kernel.run(self.kernel.now + seconds)

    def outcome(self, definition: Definition, document: Any = None) -> Any:
        """Run an execution to its end: its output, or (status, error)."""
        return self.told(self.start(definition, document), until=LONG)

    def told(self, arn: str, until: float = 0.0) -> Any:
        """How an execution ended."""
        self.run(until)
        told = self.client.describe_execution(executionArn=arn)
        if told["status"] == "SUCCEEDED":
            return json.loads(told["output"])
        return told["status"], told.get("error")

    def history(self, arn: str) -> list[dict[str, Any]]:
        """The events of an execution."""
        events: list[dict[str, Any]] = []
        token: str | None = ""
        while token is not None:
            page = self.client.get_execution_history(executionArn=arn, nextToken=token)
            events.extend(page["events"])
            token = page.get("nextToken")
        return events

    def path(self, arn: str) -> list[str]:
        """The states that an execution entered."""
        return [
            event["stateEnteredEventDetails"]["name"]
            for event in self.history(arn)
            if event["type"].endswith("StateEntered")
        ]

    @property
    def seconds(self) -> float:
        """Virtual seconds since the start."""
        return self.kernel.now - START


def task(script: list[Any] | None = None, key: str = "key", **more: Any) -> Definition:
    """A Task that calls the scripted function, at an end unless `Next` is given."""
    made: Definition = {"Type": "Task", "Resource": FUNCTION}
    if script is not None:
        made["Parameters"] = {"script": script, "key": key}
    return _ended(made | more)


def waiting(script: list[Any], key: str = "key", **more: Any) -> Definition:
    """A Task that waits for its token."""
    payload = {"script": script, "key": key, "token.$": "$$.Task.Token"}
    made: Definition = {
        "Type": "Task",
        "Resource": AND_WAIT,
        "Parameters": {"FunctionName": FUNCTION, "Payload": payload},
    }
    return _ended(made | more)


def _ended(state: Definition) -> Definition:
    return state if "Next" in state else state | {"End": True}


def machine(**states: Definition) -> Definition:
    """A machine that starts with the first of its states."""
    return {"StartAt": next(iter(states)), "States": states}


def only(state: Definition) -> Definition:
    """A machine of one state, at its end."""
    return machine(Only=state if state["Type"] in ("Fail", "Succeed") else _ended(state))
