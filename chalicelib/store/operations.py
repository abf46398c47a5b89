"""Operation rows: leases of steps, their records, and what the sweeper looks for."""

from __future__ import annotations

from typing import Any, Final

from pynamodb.expressions.update import Action

from chalicelib import aws, tracing
from chalicelib.domain.flows import ADMITTING, FLOWS, Flow
from chalicelib.domain.operations import (
    LIVE_SHARDS,
    STARTABLE,
    OperationStatus,
    live_shard,
)
from chalicelib.settings import settings
from chalicelib.store.base import as_dict, update_if
from chalicelib.store.events import Asked
from chalicelib.store.kinds import KINDS
from chalicelib.store.models import Arguments, Operation, Subject

CHECK_AFTER_SECONDS: Final = 30
"""So long after somebody should have moved an operation the sweeper looks at it."""
FIRST_LOOK_SECONDS: Final = 60.0
"""So long a step waits for its guest before its server is looked at."""
LOOK_AHEAD_SECONDS: Final = 120
"""So far ahead a look is set when it comes near: steps that follow at once move it seldom, and each
move is a delete and a put in the index."""
PROGRESS: Final = "progress"
"""Among what an operation has found: when its step was last seen to go on, by the step's name."""
MOST_PROGRESS_SECONDS: Final = 86_400.0
"""So long after its begin the progress of an operation counts: one that never ends is none, and
all of its looks have to fit into the history of one execution."""
PARTITIONS: Final = ("live", *(f"live-{shard}" for shard in range(LIVE_SHARDS)))
"""Of the live index; all of it was the first one in the release before."""


def new_operation(
    operation_id: str,
    subject_id: str,
    tenant_id: str,
    action: str,
    *,
    timeout: float,
    generation: int = 1,
    status: str = OperationStatus.ACCEPTED,
    sealed_args: str | None = None,
    arguments: dict[str, Any] | None = None,
    asked: Asked | None = None,
) -> Operation:
    """An operation row that the sweeper will look at if nobody starts it."""
    now = aws.clock()
    return Operation(
        id=operation_id,
        subject_id=subject_id,
        tenant_id=tenant_id,
        action=action,
        status=status,
        created=now,
        updated=now,
        deadline=now + timeout,
        generation=generation,
        live=live_shard(operation_id),
        check_at=now + CHECK_AFTER_SECONDS,
        sealed_args=sealed_args,
        arguments=arguments,
        request_id=asked.request_id if asked else None,
        user_id=asked.user_id if asked else None,
        user_tenant_id=asked.user_tenant_id if asked else None,
        traceparent=_traceparent(asked),
    )


def _traceparent(asked: Asked | None) -> str | None:
    """The place that accepts it, unless the id of the request says that already: each lease is
    paid by the row's size."""
    said = tracing.traceparent()
    request_id = asked.request_id if asked else None
    return said if request_id is None or said != str(tracing.within(request_id)) else None


def operation_of(
    subject: Subject,
    flow: Flow,
    *,
    operation_id: str | None = None,
    sealed_args: str | None = None,
    arguments: dict[str, Any] | None = None,
    asked: Asked | None = None,
) -> Operation:
    """The row of an operation of a flow on a subject of its kind, with the flow's own bound.

    Its generation is the present one, and goes on with each that it makes itself.
    """
    assert subject.kind is flow.subject, f"{flow.action} is no flow of {subject.kind}"
    return new_operation(
        operation_id or aws.new_id(),
        subject.id,
        subject.tenant_id,
        flow.action,
        timeout=float(getattr(settings(), flow.timeout)),
        generation=KINDS[subject.kind].generation(subject),
        sealed_args=sealed_args,
        arguments=arguments,
        asked=asked,
    )


def get_operation(operation_id: str) -> Operation | None:
    """The row, read consistently, or None."""
    try:
        return Operation.get(operation_id, consistent_read=True)
    except Operation.DoesNotExist:
        return None


def bound_of(operation: Operation, name: str) -> float:
    """Until when a step of an operation, which has begun, may wait; one that makes progress begins
    its wait anew with each look."""
    step = FLOWS[operation.action].named(name)
    if step is None or not step.timeout:
        return float(operation.deadline)
    return waits_since(operation, name) + float(getattr(settings(), step.timeout))


def waits_since(operation: Operation, name: str) -> float:
    """When a step has begun, or was last seen to go on, within the first day of its operation."""
    started = as_dict(operation.started)
    last = as_dict(operation.resources).get(PROGRESS, {}).get(name, 0.0)
    most = min(started.values()) + MOST_PROGRESS_SECONDS
    return max(float(started[name]), min(float(last), float(most)))


def sealed_arguments(operation: Operation) -> str | None:
    """What the operation was asked for, as it was sealed; None when nothing of it is secret."""
    if not operation.secret:
        return operation.sealed_args
    return Arguments.get(operation.id, consistent_read=True).sealed


def operations_of(subject_id: str, limit: int = 50, before: float | None = None) -> list[Operation]:
    """The operations of a subject, newest first; `before` a time, those accepted earlier."""
    earlier = None if before is None else Operation.created < before
    return list(
        Operation.subject_index.query(subject_id, earlier, scan_index_forward=False, limit=limit)
    )


def due_operations(now: float, limit: int, *, latest: bool = False) -> list[str]:
    """Ids of live operations whose check time has come, longest overdue first, or latest first."""
    due = [
        row
        for partition in PARTITIONS
        for row in Operation.live_index.query(
            partition, Operation.check_at <= now, limit=limit, scan_index_forward=not latest
        )
    ]
    due.sort(key=lambda row: float(row.check_at), reverse=latest)
    return [row.id for row in due[:limit]]


def live_operations(most: int) -> list[Operation] | None:
    """Those that are not terminal, but for some of the last second; None when they are more."""
    ids: list[str] = []
    for partition in PARTITIONS:
        ids += [row.id for row in Operation.live_index.query(partition, limit=most + 1 - len(ids))]
        if len(ids) > most:
            return None
    return list(Operation.batch_get(ids, consistent_read=True))


def take_lease(operation_id: str, step: str) -> Operation:
    """Claim a step for one worker and return the row as it is then.

    Clauses: the operation is not terminal (an execution that outlived it); no other worker holds a
    lease (two deliveries of one step); the step is not done (a retry after its record).
    """
    row = Operation(operation_id)
    now = aws.clock()
    lease_until = now + settings().lease_seconds
    actions: list[Action] = [
        Operation.lease_id.set(aws.new_id()),
        Operation.lease_until.set(lease_until),
        Operation.step.set(step),
        Operation.status.set(OperationStatus.RUNNING),
        Operation.updated.set(now),
        Operation.started[step].set(Operation.started[step] | now),
    ]
    condition = (
        Operation.status.is_in(*STARTABLE)
        & (Operation.lease_until.does_not_exist() | (Operation.lease_until < now))
        & Operation.ended[step].does_not_exist()
    )
    update_if(row, actions, condition)
    return row


def release_lease(
    row: Operation,
    step: str,
    *,
    ended: bool,
    until: float | None = None,
    resources: dict[str, Any] | None = None,
    note: str | None = None,
    reason: str | None = None,
) -> None:
    """Give the lease back with what the step found or made; what comes next comes by `until`.

    Clause: the lease is still ours; a worker that overran its lease records nothing.
    """
    now = aws.clock()
    actions: list[Action] = [
        Operation.lease_id.remove(),
        Operation.lease_until.remove(),
        Operation.updated.set(now),
    ]
    due = (until or now) + CHECK_AFTER_SECONDS
    if row.check_at is None or row.check_at < due:
        actions.append(Operation.check_at.set(max(due, now + LOOK_AHEAD_SECONDS)))
    if ended:
        actions.append(Operation.ended[step].set(now))
    if note:
        actions.append(Operation.notes[step].set(note))
    if reason is not None:
        actions += [
            Operation.compensating.set(True),
            Operation.reason.set(Operation.reason | reason[:1024]),
        ]
    actions += [Operation.resources[key].set(value) for key, value in (resources or {}).items()]
    update_if(row, actions, Operation.lease_id == row.lease_id)


def end_step(operation_id: str, step: str, *, backwards: bool) -> None:
    """Record that a step is over whose guest has answered.

    Clauses: the operation is not terminal, nor told to go back (an answer that comes late) unless
    the step is of that way; the step is not recorded (a second delivery of the answer).
    """
    now = aws.clock()
    actions: list[Action] = [
        Operation.ended[step].set(now),
        Operation.updated.set(now),
        Operation.check_at.set(now + CHECK_AFTER_SECONDS),
    ]
    clause = Operation.status.is_in(*STARTABLE) & Operation.ended[step].does_not_exist()
    if not backwards:
        clause &= Operation.reason.does_not_exist()
    update_if(Operation(operation_id), actions, clause)


def note_refusal(operation_id: str, generation: int, holder: str, note: str) -> Operation:
    """Note with an operation that a guest was refused, and who holds its place; the row then.

    Clauses: the operation is not terminal, and lets in that generation (a late refusal).
    """
    row = Operation(operation_id)
    actions: list[Action] = [
        Operation.enrolled_server.set(holder),
        Operation.notes["prepare"].set(note[:255]),
    ]
    clause = Operation.status.is_in(*STARTABLE) & (Operation.generation == generation)
    update_if(row, actions, clause & Operation.action.is_in(*ADMITTING))
    return row


def note_alone(row: Operation, step: str, reason: str) -> None:
    """Remember that a step waits for a guest without a server; the sweeper lets it go on, or back.

    Clauses: the operation is not terminal, and at that step still (the guest has answered).
    """
    actions: list[Action] = [
        Operation.alone.set(step),
        Operation.compensating.set(True),
        Operation.reason.set(Operation.reason | reason[:1024]),
        Operation.notes[step].set(reason[:255]),
        Operation.check_at.set(aws.clock()),
    ]
    at_it = Operation.status.is_in(*STARTABLE) & (Operation.step == step)
    update_if(row, actions, at_it & Operation.ended[step].does_not_exist())


def begin_compensation(row: Operation, reason: str) -> None:
    """Remember for good that this operation goes backwards, and why; the first reason stays."""
    update_if(
        row,
        [
            Operation.compensating.set(True),
            Operation.reason.set(Operation.reason | reason[:1024]),
            Operation.check_at.set(aws.clock() + CHECK_AFTER_SECONDS),
        ],
        Operation.status.is_in(*STARTABLE),
    )


def record(row: Operation, resources: dict[str, Any]) -> None:
    """Write down what a step is about to do, before it does it.

    Clause: the lease is still ours. Raises `ConditionFailed`.
    """
    actions: list[Action] = [Operation.resources[key].set(each) for key, each in resources.items()]
    update_if(row, actions, Operation.lease_id == row.lease_id)


def start_attempt(row: Operation) -> None:
    """Count one more execution. Clause: nobody else counted it (a row may lack its first count)."""
    uncounted = Operation.attempt == row.attempt
    if not row.attempt:
        uncounted |= Operation.attempt.does_not_exist()
    update_if(
        row,
        [
            Operation.attempt.add(1),
            Operation.check_at.set(aws.clock() + CHECK_AFTER_SECONDS),
        ],
        Operation.status.is_in(*STARTABLE) & uncounted,
    )


def look_again(row: Operation, seconds: float = CHECK_AFTER_SECONDS) -> None:
    """Postpone the sweeper's next look. Clause: the operation is still live."""
    update_if(row, [Operation.check_at.set(aws.clock() + seconds)], Operation.live.exists())
