"""Commands to guests and their answers: a row in DynamoDB, a sealed message on the guest's queue.

    row ──▶ send ──▶ guest ──▶ conductor stores the answer in the row ──▶ whoever waits reads it

A synchronous call polls its row until the deadline, which is the command's expiry too. A step of
the task manager stores its task token in the row instead; `settle` completes it, whichever of the
token and the answer came first.
"""

from __future__ import annotations

import contextlib
import json
import logging
import math
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any, Final, TypeVar

import msgspec
from botocore.exceptions import ClientError

from chalicelib import aws, errors, tracing
from chalicelib.bus import keys, queues
from chalicelib.bus.contract import METHODS, Method
from chalicelib.bus.contract.values import (
    MOST_DEPTH,
    MOST_MESSAGE,
    MOST_RESULT_BYTES,
    Value,
)
from chalicelib.bus.envelope import Direction, Envelope, Fault, seal
from chalicelib.domain.operations import step_of
from chalicelib.settings import settings
from chalicelib.store import calls, operations, spans
from chalicelib.store import commands as rows
from chalicelib.store.base import ConditionFailed
from chalicelib.store.models import Command, Instance, Operation
from chalicelib.waiting import looks

KEEP_SECONDS: Final = 7 * 86400
MOST_CODE: Final = 64

A = TypeVar("A", bound=Value)
R = TypeVar("R")

UNSAID: Final = "The guest agent failed the call and did not say why."

log = logging.getLogger(__name__)

CODES: Final[dict[str, type[errors.CofferError]]] = {
    "BadRequest": errors.BadRequest,
    "UserNotFound": errors.NotFound,
    "DatabaseNotFound": errors.NotFound,
    "UserAlreadyExists": errors.BadRequest,
    "DatabaseAlreadyExists": errors.BadRequest,
    "NotSupported": errors.NotSupported,
    "Unavailable": errors.Unavailable,
    "Expired": errors.GuestTimeout,
    "Interrupted": errors.Conflict,  # not 503: it may have taken effect, and must be looked at
    "WrongGeneration": errors.Unavailable,
}
"""What the codes of the contract mean to the client; any other one is the guest's own failure."""

_TOKEN_CLOSED: Final = ("TaskDoesNotExist", "TaskTimedOut", "InvalidToken")


def call(
    instance: Instance,
    method: Method[A, R],
    args: A,
    command_id: str | None = None,
    *,
    until: float = math.inf,
) -> R:
    """Call the guest and wait for its answer: as long as the method may, and `until` at most.

    A `command_id` that was used before is the same call: what was answered to it stands, and a
    guest that has begun it does not begin it again.

    Raises `OverLimit` (413) when too many calls are in flight already, `GuestTimeout` (503) when
    none came within that time, `GuestFailed` (502) when it failed or its answer does not
    fit the method, or the narrower error that the guest named.
    """
    began = aws.clock()
    deadline = min(began + bound_of(method), until)
    row = new_command(command_id or aws.new_id(), instance, method.name, deadline=deadline)
    # Not the command's id alone: who waits for the same one occupies another request.
    slot = f"{row.id}_{aws.new_id()[:8]}"
    calls.take(instance, slot, deadline)
    try:
        row = rows.add(row)
        if row.generation != instance.generation:
            raise errors.Conflict(
                f"The guest of instance {instance.id} was replaced before it had answered; "
                "look at what it has done, then ask anew."
            )
        if row.answered is None:
            send(instance, row, args)
        result = _answer(row, began)
    except errors.GuestTimeout:
        if row.answered is None:  # what was answered is told by the conductor
            spans.tell_guest(row, row.method, "timeout")
        raise
    finally:
        calls.give_back(instance, slot)
    return method.decode(result)


def bound_of(method: Method[Any, Any]) -> float:
    """How many seconds the answer of a method is waited for at most."""
    return float(getattr(settings(), method.timeout))


def new_command(
    command_id: str,
    instance: Instance,
    method: str,
    *,
    deadline: float,
    operation_id: str | None = None,
    backwards: bool = False,
) -> Command:
    """A command row for the instance's present generation."""
    now = aws.clock()
    return Command(
        id=command_id,
        instance_id=instance.id,
        generation=instance.generation,
        method=method,
        operation_id=operation_id,
        backwards=backwards,
        created=now,
        deadline=deadline,
        traceparent=tracing.traceparent(),
        expires=datetime.fromtimestamp(int(max(now, deadline) + KEEP_SECONDS), UTC),
    )


def send(instance: Instance, row: Command, args: Value) -> None:
    """Seal a command and put it on the guest's queue."""
    version = keys.guest_ring().current
    envelope = Envelope(
        id=row.id,
        instance_id=row.instance_id,
        generation=int(row.generation),
        kind="command",
        method=row.method,
        args=msgspec.to_builtins(args),
        # Also when it is sent again: a guest may have begun it and lost its journal since.
        issued_at=float(row.created),
        expires_at=row.deadline,
        key_version=version,
        traceparent=row.traceparent or msgspec.UNSET,
    )
    key = keys.guest_key(row.instance_id, int(row.generation), Direction.TO_GUEST, version)
    url = queues.guest_queue_url(instance.id, int(row.generation))
    queues.send_to_guest(url, seal(envelope, Direction.TO_GUEST, key))


def await_with_token(row: Command, token: str) -> Command:
    """Make the row wait with a task token, whether it exists or not; returns it as it is then."""
    rows.wait_with_token(row, token)
    return row


def store_answer(
    command_id: str,
    instance_id: str,
    generation: int,
    result: dict[str, Any] | None,
    error: Fault | None,
) -> Command:
    """Store what a guest answered, bounded and printable, as `rows.answer` does."""
    if error is None and _is_deeper(result, MOST_DEPTH):
        error = Fault("GuestError", "The guest's answer is nested too deep to be one.")
    if error is None and len(json.dumps(result)) > MOST_RESULT_BYTES:
        error = Fault("GuestError", "The guest's answer is too large to be stored; ask for less.")
    told = None
    if error is not None:
        told = {
            "code": printable(error.code, MOST_CODE),
            "message": printable(error.message, MOST_MESSAGE),
        }
    return rows.answer(command_id, instance_id, generation, result or {}, told)


def _is_deeper(content: Any, most: int) -> bool:
    """Whether more lists and objects are within each other; it looks at one level at a time."""
    level = [content]
    for _ in range(most):
        level = [inner for each in level for inner in _within(each)]
    return any(isinstance(each, dict | list) for each in level)


def _within(content: Any) -> Iterable[Any]:
    if isinstance(content, dict):
        return content.values()
    return content if isinstance(content, list) else ()


def printable(text: str, most: int) -> str:
    """What a guest said, as it may be shown: bounded, and nothing that a terminal would act on."""
    return "".join(each for each in text if each.isprintable())[:most]


def settle(row: Command) -> None:
    """Complete the task token of a row that has both token and answer.

    The step is recorded first: an operation whose guest is done goes on from there, however the
    execution that waited for it has ended. One whose guest failed is looked at soon, no longer when
    its step would be late.
    """
    if row.token is None or row.answered is None:
        return
    failed = fault_of(row)
    if row.operation_id is not None:
        with contextlib.suppress(ConditionFailed):
            if failed is None:
                operations.end_step(row.operation_id, step_of(row.id), backwards=row.backwards)
            else:
                operations.look_again(Operation(row.operation_id))
    complete(row.token, "failed" if failed else "done")


def complete(token: str, outcome: str) -> None:
    """Answer a task token with an outcome; one that is closed already is fine."""
    try:
        aws.client("stepfunctions").send_task_success(
            taskToken=token, output=f'{{"outcome": "{outcome}"}}'
        )
    except ClientError as error:
        if error.response["Error"]["Code"] not in _TOKEN_CLOSED:
            raise
        log.info("a task token was closed before its answer came")


def fault_of(row: Command) -> Fault | None:
    """What a guest has failed with: by its own words, or since its answer is none to the method.

    Judged at each look, so that nothing but what a guest said is stored. A method that another
    release has sent is that one's to judge.
    """
    if row.error is not None:
        return Fault(row.error["code"], row.error["message"] or UNSAID)
    method = METHODS.get(row.method)
    if row.answered is None or method is None:
        return None
    try:
        method.decode(row.result or {})
    except msgspec.ValidationError:
        guest = f"The guest agent of instance {row.instance_id}"
        return Fault("GuestError", f"{guest} gave no valid answer to {row.method}.")
    return None


def error_of(row: Command) -> errors.CofferError | None:
    """The same as the client is told of it."""
    fault = fault_of(row)
    return None if fault is None else CODES.get(fault.code, errors.GuestFailed)(fault.message)


def _answer(row: Command, since: float) -> dict[str, Any]:
    deadline = float(row.deadline)
    for _ in looks(since, deadline):
        row.refresh(consistent_read=True)
        if (error := error_of(row)) is not None:
            raise error
        if row.answered is not None:
            return dict(row.result or {})
    raise errors.GuestTimeout(
        f"The guest agent of instance {row.instance_id} did not answer within "
        f"{deadline - since:.0f} s; the call may still take effect."
    )
