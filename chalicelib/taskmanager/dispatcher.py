"""The dispatcher: a hint on the task manager's queue becomes an execution.

The hint is not believed: the row says what is to be done. A throttled start is left to the
sweeper, so that a burst of accepted operations cannot fill the dead letters.
"""

from __future__ import annotations

import logging

import msgspec

from chalicelib import aws, crash, tracing
from chalicelib.bus import commands
from chalicelib.bus.queues import Hint
from chalicelib.domain.flows import ENROLLING, FLOWS
from chalicelib.domain.operations import STARTABLE, OperationStatus, command_id
from chalicelib.store import commands as rows
from chalicelib.store import instances, operations, spans
from chalicelib.store.generations import guest_is_lost
from chalicelib.store.models import Operation
from chalicelib.taskmanager import executions, schedules

log = logging.getLogger(__name__)


def receive(body: str) -> None:
    """Act on one hint; raises on a body that is none (it goes to the dead letters)."""
    with crash.scope("dispatcher"):
        hint = msgspec.json.decode(body, type=Hint)
        if hint.schedule:
            with tracing.span(log, "dispatch", step="schedule") as span:
                span.tell(outcome=schedules.look(hint.operation_id))
            return
        operation = operations.get_operation(hint.operation_id)
        if operation is None:
            log.info("a hint with nothing to do")
            return
        told = spans.told_of(operation)
        with tracing.span(log, "dispatch", spans.place_of(operation), **told) as span:
            span.tell(outcome=_dispatch(operation))


def _dispatch(operation: Operation) -> str:
    """What has become of a hint."""
    if operation.status not in STARTABLE:
        return "nothing"
    if operation.status == OperationStatus.RUNNING:
        wake_if_over(operation)
        return "woken"
    try:
        executions.start(operation)
    except executions.Throttled as error:
        log.warning("%s is left to the sweeper: %s", operation.id, error)
        return "throttled"
    return "started"


def wake_if_over(operation: Operation) -> None:
    """Let an operation go on whose guest has answered, or that waits for its guest in vain.

    An answer whose token was not completed is one that the conductor died over.
    """
    step = operation.step
    if step is None or not FLOWS[operation.action].waits_for_guest(step):
        return
    waiting = rows.find(command_id(operation.id, step))
    if waiting is None or waiting.token is None:
        return
    if waiting.answered is not None:
        commands.settle(waiting)
    elif waits_in_vain(operation, step):
        commands.complete(waiting.token, "failed")


def waits_in_vain(operation: Operation, step: str) -> bool:
    """Whether a step need not wait for its guest any more: it is late, or its way has changed.

    Going forward: the operation is cancelled, or told to go back already (its guest cannot enrol).
    Going back: a delete waits, for which nothing has to be as it was, the guest was expelled, or a
    reset of the status lets none in.
    Either way: its server was seen not to be there.
    """
    if aws.clock() > operations.bound_of(operation, step) or operation.alone == step:
        return True
    if not FLOWS[operation.action].undoes(step):
        return bool(operation.cancelled or operation.compensating)
    if not operation.cancelled:
        return False
    instance = instances.find_instance(operation.instance_id)
    if instance is None or instance.next_operation_id is not None:
        return True
    awaited = FLOWS[operation.action].named(step)
    refused = awaited is not None and awaited.admits and instance.status not in ENROLLING
    return refused or guest_is_lost(operation, instance)
