"""The contract tests' cases on an emulator."""

from __future__ import annotations

import io
import json
import time
import zipfile
from pathlib import Path
from typing import Any, Final

import boto3

from tests.simulator.flows.cases import Case, Outcome
from tests.simulator.flows.flows import FUNCTION

ROLE: Final = "arn:aws:iam::000000000000:role/any"
HERE: Final = Path(__file__).parent
DEADLINE_SECONDS: Final = 45.0


class Emulator:
    """Clients of a running emulator, and the scripted function in it."""

    def __init__(self, client_arguments: dict[str, Any], counts: Path) -> None:
        self._arguments = client_arguments
        self.states = self._client("stepfunctions")
        package = io.BytesIO()
        with zipfile.ZipFile(package, "w") as archive:
            for name in ("scripted.py", "deployed.py"):
                archive.write(HERE / name, name)
        self._client("lambda").create_function(
            FunctionName=FUNCTION.rsplit(":", 1)[1],
            Runtime="python3.11",
            Role=ROLE,
            Handler="deployed.handler",
            Timeout=30,
            Code={"ZipFile": package.getvalue()},
            Environment={"Variables": self._environment() | {"COUNTS": str(counts)}},
        )

    def _client(self, service: str) -> Any:
        return boto3.client(service, **self._arguments)

    def _environment(self) -> dict[str, str]:
        """The variables that lead the function's own client to the emulator."""
        return {
            "AWS_ENDPOINT_URL": self._arguments["endpoint_url"],
            "AWS_DEFAULT_REGION": self._arguments["region_name"],
            "AWS_ACCESS_KEY_ID": self._arguments["aws_access_key_id"],
            "AWS_SECRET_ACCESS_KEY": self._arguments["aws_secret_access_key"],
        }

    def run(self, cases: dict[str, Case], definitions: dict[str, str]) -> dict[str, Outcome]:
        """All cases side by side."""
        started = {}
        for name, case in cases.items():
            machine = self.states.create_state_machine(
                name=name, definition=definitions[name], roleArn=ROLE
            )
            started[name] = self.states.start_execution(
                stateMachineArn=machine["stateMachineArn"],
                name=name,
                input=json.dumps({} if case.document is None else case.document),
            )["executionArn"]
        deadline = time.monotonic() + DEADLINE_SECONDS
        return {name: self._outcome(arn, deadline) for name, arn in started.items()}

    def _outcome(self, arn: str, deadline: float) -> Outcome:
        while time.monotonic() < deadline:
            told = self.states.describe_execution(executionArn=arn)
            if told["status"] != "RUNNING":
                break
            time.sleep(0.1)
        pages = self.states.get_paginator("get_execution_history").paginate(executionArn=arn)
        events = [event for page in pages for event in page["events"]]
        return outcome(told, events)


def outcome(told: dict[str, Any], events: list[dict[str, Any]]) -> Outcome:
    """What a description and a history say; the emulator gives a failed execution an output."""
    path = tuple(
        event["stateEnteredEventDetails"]["name"]
        for event in events
        if event["type"].endswith("StateEntered")
    )
    output = json.loads(told["output"]) if told["status"] == "SUCCEEDED" else None
    return Outcome(path, told["status"], output, told.get("error"))
