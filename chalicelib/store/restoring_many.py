"""Rollouts and configuration groups of a restored table: what is done to many instances by one
operation of their own.

What that did stands on the instances; the row here says whether it is under way, and how it has
ended. A group's row of before an operation that is under way learns of it, too.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Final

from pynamodb.expressions.update import Action

from chalicelib import aws
from chalicelib.domain.flows import APPLY, FLOWS, ROLL_OUT, Flow, What
from chalicelib.domain.operations import OperationStatus
from chalicelib.lifecycle import next_status
from chalicelib.store.base import as_dict, update_if
from chalicelib.store.kinds import KINDS
from chalicelib.store.models import Operation, Subject
from chalicelib.store.operations import get_operation, operations_of
from chalicelib.store.outcomes import outcome
from chalicelib.store.subjects import faulty, unchanged

LOST: Final = "How it has ended is not known any more: the tables were restored."
_FLOWS: Final = {flow.subject: flow for flow in (ROLL_OUT, APPLY)}


def wrong(subject: Subject) -> tuple[str, list[Action]] | None:
    """What a row does not know of its operation, and the actions that put it right; or None."""
    flow = _FLOWS[subject.kind]
    newest = next(iter(operations_of(subject.id, 1)), None)
    if newest is not None and newest.live is not None:
        if subject.operation_id == newest.id:
            return None
        return f"{newest.action} is under way", _under_way(subject, flow, newest)
    if subject.status != flow.during:
        return None
    if newest is None or not _is_known(subject, newest):
        return "its operation is lost", _ended(subject, flow.failed, LOST)
    return f"{newest.action} has {newest.status}", _as(subject, newest)


def mend(subject: Subject, actions: list[Action]) -> None:
    """Put a row right. Clauses: it is as it was read."""
    update_if(subject, actions, unchanged(subject))


def _is_known(subject: Subject, newest: Operation) -> bool:
    """Whether what a row says to be under way is an operation that has ended, or an older one."""
    own = subject.operation_id
    return own in (None, newest.id) or get_operation(own or "") is not None


def _under_way(subject: Subject, flow: Flow, operation: Operation) -> list[Action]:
    model = type(subject)
    return [
        model.status.set(flow.during),
        model.operation_id.set(operation.id),
        model.updated.set(aws.clock()),
    ]


def _as(subject: Subject, operation: Operation) -> list[Action]:
    flow = FLOWS[operation.action]
    succeeded = operation.status == OperationStatus.SUCCEEDED
    what = What.SUCCEEDED if succeeded else flow.ended(as_dict(operation.ended))
    status = next_status(flow.during, flow.event(what), flow.subject)
    reason = None if succeeded else operation.reason or flow.told_undone
    made = outcome(operation, what).actions(type(subject))
    return made + _ended(subject, status, reason)


def _ended(subject: Subject, status: StrEnum, reason: str | None) -> list[Action]:
    model, kind = type(subject), KINDS[subject.kind]
    actions: list[Action] = [
        model.status.set(status),
        model.updated.set(aws.clock()),
        model.operation_id.remove(),
        *kind.settled(status),
    ]
    return actions + (faulty(reason) if reason else [])
