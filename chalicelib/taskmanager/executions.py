"""Executions of the state machines: starting one for an operation, how it stands, its abort."""

from __future__ import annotations

from enum import StrEnum
from typing import Final

import msgspec
from botocore.exceptions import ClientError

from chalicelib import aws
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
    try:
        aws.client("stepfunctions").start_execution(
            stateMachineArn=_machine_arn(operation),
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
    return f"{_machine_arn(operation).replace(':stateMachine:', ':execution:')}:{name}"


def _machine_arn(operation: Operation) -> str:
    """ARN of the flow's state machine: `<prefix>-create-instance` for `create_instance`."""
    flow = operation.action.replace("_", "-")
    return f"{settings().state_machine_arn_prefix}{flow}"
