"""Operations that an operation begins: its children, which it counts when they have ended.

    the parent's record names the child ──▶ the child is accepted ──▶ it ends, and is counted

A child's id follows from its parent's and its subject's. Whoever takes a step of the parent up
again finds the child by it, so that none is begun twice; since it is named before it is accepted,
none is overlooked. Only the worker that holds the parent's lease begins any, and none is begun for
a parent that was told to go back.
"""

from __future__ import annotations

import uuid  # noqa: TID251 - a name made of names, nothing is drawn
from collections.abc import Iterable
from typing import Any

from pynamodb.expressions.condition import Condition

from chalicelib.domain.flows import Flow
from chalicelib.store.events import asked_by
from chalicelib.store.models import Operation, Subject
from chalicelib.store.operations import operation_of


def child_id(parent_id: str, subject_id: str, turn: int = 0) -> str:
    """The id of the operation that a parent begins on a subject: one at most, in each turn of a
    parent that goes through its subjects more than once."""
    again = f"/{turn}" if turn else ""
    return str(uuid.uuid5(uuid.NAMESPACE_URL, f"{parent_id}/{subject_id}{again}"))


def child_of(
    parent: Operation, subject: Subject, flow: Flow, arguments: dict[str, Any], turn: int = 0
) -> Operation:
    """The row of a child; who asked for its parent has asked for it."""
    made = operation_of(
        subject,
        flow,
        operation_id=child_id(parent.id, subject.id, turn),
        arguments=arguments,
        asked=asked_by(parent),
    )
    made.parent_id = parent.id
    return made


def find(parent_id: str, subject_ids: Iterable[str], turn: int = 0) -> dict[str, Operation]:
    """The children on these subjects, at most a hundred, by subject, read consistently."""
    ids = [child_id(parent_id, each, turn) for each in subject_ids]
    return {row.subject_id: row for row in Operation.batch_get(ids, consistent_read=True)}


def may_begin(parent: Operation) -> Condition:
    """Clauses on a parent's row: its lease is ours (a worker that overran it), nobody has called it
    back."""
    clauses: Condition = Operation.lease_id == parent.lease_id
    clauses &= Operation.cancelled.does_not_exist()
    return clauses
