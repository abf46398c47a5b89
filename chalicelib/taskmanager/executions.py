"""Executions of the state machines: starting one for an operation, and how it stands."""

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
    machine = _machine_arn(operation)
    name = execution_name(operation.id, int(operation.attempt))
    try:
        answer = aws.client("stepfunctions").describe_execution(
            executionArn=f"{machine.replace(':stateMachine:', ':execution:')}:{name}"
        )
    except ClientError as error:
        if error.response["Error"]["Code"] == "ExecutionDoesNotExist":
            return Execution.MISSING
        raise
    return Execution.RUNNING if answer["status"] == "RUNNING" else Execution.CLOSED


def _machine_arn(operation: Operation) -> str:
    """ARN of the flow's state machine: `<prefix>-create-instance` for `create_instance`."""
    flow = operation.action.replace("_", "-")
    return f"{settings().state_machine_arn_prefix}{flow}"
