"""The frame around every step: lease, bounds, the step itself, its record.

    take lease ──▶ cancelled? past its deadline? ──▶ step ──▶ record and give the lease back
                                                      └ the last one: end the operation

A worker may die between any two of these. What it did not record is found again by the step's own
look before it makes anything; a step that has its record is not run again.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

import msgspec

from chalicelib import aws, crash, tracing
from chalicelib.bus import commands
from chalicelib.cloud.errors import CloudError, OverQuota
from chalicelib.domain import flows
from chalicelib.domain.flows import FLOWS
from chalicelib.domain.operations import TERMINAL, command_id
from chalicelib.store import commands as rows
from chalicelib.store import operations, spans
from chalicelib.store.base import ConditionFailed, as_dict
from chalicelib.store.models import Operation
from chalicelib.store.operations import FIRST_LOOK_SECONDS, bound_of
from functions import quotas
from functions.outcomes import (
    LOOK_SECONDS,
    MOST_NOTE,
    SOON_SECONDS,
    Busy,
    Done,
    Failed,
    Outcome,
    Pending,
    Wait,
    as_result,
    from_error,
)

log = logging.getLogger(__name__)


class Invocation(msgspec.Struct, frozen=True):
    """The payload of a step: ids only."""

    step: str
    operation_id: str
    token: str | None = None


class Step(msgspec.Struct, frozen=True):
    """A step of a flow.

    `backwards` steps run while the operation compensates; `ends` steps close the operation and
    with it the lease.
    """

    run: Callable[[Operation, str | None], Outcome]
    backwards: bool = False
    ends: bool = False


class Finished(Exception):
    """A definition of an older release sent an operation back that has all it needs.

    The execution dies of it, and the sweeper's next attempt completes the operation.
    """


def run(steps: dict[str, Step], event: dict[str, Any]) -> dict[str, Any]:
    """Run one step of the operation named in the event; see `outcomes.as_result` for the value."""
    invocation = msgspec.convert(event, Invocation)
    step = steps[invocation.step]
    name, operation_id = invocation.step, invocation.operation_id
    work = tracing.span(log, "step", step=name, operation_id=operation_id)
    with work as span, crash.scope(name):
        outcome = _run(invocation, step, span)
        span.tell(outcome=type(outcome).__name__.lower())
        if invocation.token is not None and not isinstance(outcome, Pending):
            commands.complete(invocation.token, as_result(outcome)["outcome"])
    return as_result(outcome)


def _run(invocation: Invocation, step: Step, span: tracing.Span) -> Outcome:
    name = invocation.step.rsplit(".", 1)[-1]
    try:
        operation = operations.take_lease(invocation.operation_id, name)
    except ConditionFailed:
        return _without_lease(invocation, name, step, span)
    _belongs(span, operation)
    if FLOWS[operation.action].turns_back(name):
        _turn_back(operation)
    outcome: Outcome | None = _refusal(operation, name, step)
    if outcome is None:
        outcome = _look(operation, name, step, invocation.token)
        if isinstance(outcome, Wait) and outcome.progress and not _undoes(operation, name):
            outcome = _going_on(operation, name, outcome)
        if step.backwards and isinstance(outcome, Wait) and name in as_dict(operation.notes):
            # Late only after a second look: an outage may have come before the first, or between.
            outcome = _late(operation, name) or outcome
    if not step.ends or isinstance(outcome, Failed):
        _record(operation, name, outcome)
    return outcome


def _look(operation: Operation, name: str, step: Step, token: str | None) -> Outcome:
    """What the step comes to; in its first seconds it waits here and looks again itself."""
    soon = as_dict(operation.started)[name] + SOON_SECONDS
    try:
        while True:
            outcome = step.run(operation, token)
            if not isinstance(outcome, Wait) or outcome.first:
                return outcome
            if aws.clock() + LOOK_SECONDS > soon:
                return outcome
            if outcome.resources:
                operation.resources = {**as_dict(operation.resources), **outcome.resources}
            aws.sleep(LOOK_SECONDS)
    except CloudError as error:
        log.warning("%s of %s: %s", name, operation.id, error)
        if isinstance(error, OverQuota):
            quotas.alarm(error)
        return from_error(operation, error, backwards=step.backwards)


def _belongs(span: tracing.Span, operation: Operation) -> None:
    span.follow(spans.place_of(operation))
    span.tell(**spans.told_of(operation))


def _without_lease(invocation: Invocation, name: str, step: Step, span: tracing.Span) -> Outcome:
    """Why there was no lease: done before, ended before, or somebody is at it."""
    operation = operations.get_operation(invocation.operation_id)
    if operation is None:
        span.follow(tracing.of_operation(invocation.operation_id))
        return Failed("the operation is not known")
    _belongs(span, operation)
    if operation.status in TERMINAL:
        return Done() if step.backwards or step.ends else Failed("the operation has ended")
    if name in as_dict(operation.ended):
        return Done()
    raise Busy(f"{name} of {operation.id} is being run by another worker")


def _refusal(operation: Operation, name: str, step: Step) -> Failed | None:
    """A forward step is not run once the operation was cancelled, goes back, or is late.

    What ends an operation is never too late: else nothing would.
    """
    if step.backwards:
        return None
    if operation.compensating:
        return Failed("the operation is being undone")
    if operation.cancelled:
        return Failed(operation.cancelled)
    if step.ends:
        return None
    return _late(operation, name)


def _turn_back(operation: Operation) -> None:
    """What comes to its undoing never goes forward again, whoever takes it up next.

    Raises `Finished` when there is nothing to undo it for.
    """
    if operation.compensating:
        return
    flow, started, ended = FLOWS[operation.action], operation.started, as_dict(operation.ended)
    left = flow.left(ended)
    if not left and not operation.cancelled:
        raise Finished(f"every step of {operation.id} is done")
    stuck = max(left, key=lambda each: as_dict(started).get(each.name, 0.0), default=None)
    operations.begin_compensation(operation, operation.cancelled or _why(operation, stuck))


def _why(operation: Operation, stuck: flows.Step | None) -> str:
    """The reason of an undoing that no step gave: a guest failed, or did not answer in time."""
    if stuck is None:
        return "The operation was cancelled."
    said = as_dict(operation.notes).get(stuck.name)
    what = stuck.late or f"The step {stuck.name.replace('_', ' ')} did not finish"
    if stuck.waits is flows.Waits.GUEST:
        asked = rows.find(command_id(operation.id, stuck.name))
        if asked is not None and (fault := commands.fault_of(asked)):
            return f"{stuck.failed}: {fault.message}"
        said = "; ".join(filter(None, (asked.stage if asked else None, said)))
    return f"{what}{f': {said}' if said else ''}."


def _late(operation: Operation, name: str) -> Failed | None:
    if aws.clock() <= bound_of(operation, name):
        return None
    last = as_dict(operation.notes).get(name)
    return Failed(f"{name.replace('_', ' ')} was not done in time" + (f": {last}" if last else ""))


def _undoes(operation: Operation, name: str) -> bool:
    """Whether a step takes something back: it holds its subject meanwhile, so its bound stays. What
    it leaves, the maintenance finds."""
    return FLOWS[operation.action].undoes(name)


def _going_on(operation: Operation, name: str, outcome: Wait) -> Wait:
    """The same, with a record of it: the step's bound begins anew."""
    found = {**outcome.resources, operations.PROGRESS: {name: aws.clock()}}
    operation.resources = {**as_dict(operation.resources), **found}
    return msgspec.structs.replace(outcome, resources=found)


def _record(operation: Operation, name: str, outcome: Outcome) -> None:
    resources: dict[str, Any] = {}
    note = reason = None
    until = aws.clock()
    match outcome:
        case Done(resources=found):
            resources = dict(found)
        case Wait(seconds=seconds, resources=found, note=said):
            resources, note = dict(found), said or None
            until += seconds
        case Failed(reason=said):
            reason, note = said, said[:MOST_NOTE]
        case Pending():
            until = min(bound_of(operation, name), until + FIRST_LOOK_SECONDS)
    ended = isinstance(outcome, Done)
    try:
        operations.release_lease(
            operation, name, ended=ended, until=until, resources=resources, note=note, reason=reason
        )
    except ConditionFailed:
        raise Busy(f"{name} of {operation.id} overran its lease") from None
