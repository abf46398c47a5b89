"""Where the work of an operation and of a command belongs in the trace of its request, and what the
log says of it."""

from __future__ import annotations

import logging
from typing import Any

from chalicelib import aws, tracing
from chalicelib.domain.flows import FLOWS
from chalicelib.domain.operations import SubjectKind
from chalicelib.metrics import GUEST_CALL_MS, OPERATION_MS, Measured
from chalicelib.store.models import Command, Operation

log = logging.getLogger(__name__)


def place_of(operation: Operation) -> tracing.Trace:
    """The place of what is done for an operation."""
    return tracing.of_operation(operation.id, asked_in(operation))


def asked_in(operation: Operation) -> tracing.Trace | None:
    """The place that an operation was accepted in; None for one that no request has asked for."""
    if (said := tracing.parse(operation.traceparent)) is not None:
        return said
    return tracing.within(operation.request_id) if operation.request_id else None


def place_of_command(command: Command) -> tracing.Trace:
    """The place of what comes of a command; one of its own for a row of the release before."""
    asked = tracing.parse(command.traceparent)
    if asked is None and command.operation_id is not None:
        return tracing.of_operation(command.operation_id)
    return asked or tracing.named(command.id)


def told_of(operation: Operation) -> dict[str, Any]:
    """What a line says of the operation that it belongs to, which a later release may know."""
    flow = FLOWS.get(operation.action)
    of_instance = flow is None or flow.subject is SubjectKind.INSTANCE
    return {
        "operation_id": operation.id,
        "instance_id": operation.subject_id if of_instance else None,
        "action": operation.action,
        "tenant_id": operation.tenant_id,
        "user_id": operation.user_id,
        "request_id": operation.request_id,
    }


def tell_end(operation: Operation, outcome: str) -> None:
    """The line of an operation that has ended: the span of all that was done for it."""
    took_ms = round((aws.clock() - float(operation.created)) * 1000)
    asked = asked_in(operation)
    tracing.past(
        log,
        "operation",
        place_of(operation),
        asked.span_id if asked else "",
        began=float(operation.created),
        took_ms=took_ms,
        measured=[Measured(OPERATION_MS, took_ms)],
        outcome=outcome.lower(),
        **told_of(operation),
    )


def tell_guest(
    command: Command,
    method: str,
    outcome: str,
    *,
    work: tracing.Trace | None = None,
    ended: float | None = None,
    took_ms: int | None = None,
) -> None:
    """The line of what a guest has done for a command, or has not; the metric is of the whole wait.

    `work` is the guest's own span; `ended` (a time) and `took_ms` are what it says of that, and lie
    between the command and now whatever it says.
    """
    now, created = aws.clock(), float(command.created)
    waited_ms = max(0, round((now - created) * 1000))
    took_ms = waited_ms if took_ms is None else min(took_ms, waited_ms)
    asked = place_of_command(command)
    tracing.past(
        log,
        "guest",
        work or tracing.Trace(asked.trace_id, aws.span_bytes(8).hex()),
        asked.span_id,
        began=max(created, min(now if ended is None else ended, now) - took_ms / 1000),
        took_ms=took_ms,
        measured=[Measured(GUEST_CALL_MS, waited_ms)],
        outcome=outcome,
        operation_id=command.operation_id,
        instance_id=command.instance_id,
        generation=int(command.generation),
        method=method,
    )
