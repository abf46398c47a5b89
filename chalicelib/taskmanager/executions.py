"""Executions of the state machines: starting one for an operation, how it stands, its abort."""

from __future__ import annotations

from enum import StrEnum
from typing import Final

import msgspec
from botocore.exceptions import ClientError

from chalicelib import aws
from chalicelib.domain.flows import LOOK
from chalicelib.domain.operations import execution_name
from chalicelib.settings import settings
from chalicelib.store.models import Operation

_THROTTLED: Final = ("ThrottlingException", "ExecutionLimitExceeded", "TooManyRequestsException")


class Throttled(Exception):
    """Step Functions takes no more at the moment; the sweeper will come back to the operation."""


class Execution(StrEnum):
    """How the execution of an operation's present attempt stands."""

    MISSING = "missing"
    RUNNING = "running"
    CLOSED = "closed"


def start(operation: Operation) -> None:
    """Start the execution of the present attempt; one of that name that exists is success."""
    name = execution_name(operation.id, int(operation.attempt))
    _start(_machine_arn(operation.action), name, operation)


def look(operation: Operation) -> None:
    """Have the operation's server looked at, once, beside its own execution."""
    _start(_machine_arn(LOOK), f"{operation.id}.look-{int(aws.clock())}", operation)


def _start(machine_arn: str, name: str, operation: Operation) -> None:
    try:
        aws.client("stepfunctions").start_execution(
            stateMachineArn=machine_arn,
            name=name,
            input=msgspec.json.encode({"operation_id": operation.id}).decode(),
        )
    except ClientError as error:
        code = error.response["Error"]["Code"]
        if code in _THROTTLED:
            raise Throttled(code) from None
        if code != "ExecutionAlreadyExists":
            raise


def state(operation: Operation) -> Execution:
    """How the execution of the present attempt stands."""
    try:
        answer = aws.client("stepfunctions").describe_execution(
            executionArn=_execution_arn(operation)
        )
    except ClientError as error:
        if error.response["Error"]["Code"] == "ExecutionDoesNotExist":
            return Execution.MISSING
        raise
    return Execution.RUNNING if answer["status"] == "RUNNING" else Execution.CLOSED


def stop(operation: Operation) -> None:
    """Abort the execution of the present attempt; one that has ended stays as it is."""
    aws.client("stepfunctions").stop_execution(
        executionArn=_execution_arn(operation),
        error="Stuck",
        cause="The operation is past its deadline and nothing moves it; the next attempt ends it.",
    )


def _execution_arn(operation: Operation) -> str:
    name = execution_name(operation.id, int(operation.attempt))
    return f"{_machine_arn(operation.action).replace(':stateMachine:', ':execution:')}:{name}"


def _machine_arn(name: str) -> str:
    """ARN of a state machine: `<prefix>-create-instance` for `create_instance`."""
    return f"{settings().state_machine_arn_prefix}{name.replace('_', '-')}"
