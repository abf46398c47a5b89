"""What transactions on the subjects of operations share, whatever their kind: clauses and changes.

`accepting` and `ending` hold the transactions of operations, `kinds` what is one kind's alone.
"""

from __future__ import annotations

from collections.abc import Callable, Container, Mapping
from datetime import UTC, datetime
from typing import Any, Final

from pynamodb.expressions.condition import Condition
from pynamodb.expressions.update import Action
from pynamodb.transactions import TransactWrite

from chalicelib import aws
from chalicelib.domain.flows import FLOWS
from chalicelib.settings import settings
from chalicelib.store.base import transacted
from chalicelib.store.events import Asked, new_event
from chalicelib.store.models import Operation, Subject

DAY_SECONDS: Final = 86400


def cancel(subject: Subject, live: Operation, reason: str, asked: Asked) -> bool:
    """Tell the live operation of a subject to go back; False when it has ended meanwhile.

    Clause: it has not come to the step behind which it cannot.
    """
    assert subject.operation_id == live.id
    kind = f"{live.action}.called_back"
    event = new_event(subject.id, kind, reason, subject.told_to, asked)
    call_back = calling_back(subject, reason, FLOWS[live.action].no_return)

    def build(write: TransactWrite) -> None:
        write.save(event)
        call_back(write)

    return transacted(build)


def calling_back(
    subject: Subject, reason: str, before: str = ""
) -> Callable[[TransactWrite], None]:
    """The part of a transaction that tells the live operation, if there is one, to go back.

    The first reason stays. Clauses: it has not ended (a flow that ends meanwhile), nor begun the
    step `before` which it is to do so, if there is one.
    """
    if subject.operation_id is None:
        return lambda _: None
    live = Operation(subject.operation_id)
    actions: list[Action] = [
        Operation.cancelled.set(Operation.cancelled | reason),
        Operation.check_at.set(aws.clock()),
    ]
    condition = Operation.live.exists()
    if before:
        condition &= Operation.started[before].does_not_exist()
    return lambda write: write.update(live, actions=actions, condition=condition)


def unchanged(subject: Subject, *decided_by: str) -> Condition:
    """Clauses that status, operations and what else was decided by are as the row was read."""
    condition = Subject.status == subject.status
    for name in ("operation_id", "next_operation_id", *decided_by):
        attribute, value = getattr(type(subject), name), getattr(subject, name)
        condition &= attribute.does_not_exist() if value is None else attribute == value
    return condition


def setting(
    model: type[Subject], values: Mapping[str, Any], *, without: Container[str] = ()
) -> list[Action]:
    """The update that gives a row's attributes these values; None removes one."""
    return [
        getattr(model, name).remove() if value is None else getattr(model, name).set(value)
        for name, value in values.items()
        if name not in without
    ]


def faulty(reason: str) -> list[Action]:
    """The fault that clients are shown with the status ERROR."""
    return [Subject.fault_message.set(reason[:1024]), Subject.fault_created.set(aws.clock())]


def history_ends(now: float) -> datetime:
    """When a row that is history goes away."""
    return datetime.fromtimestamp(int(now + settings().deleted_row_days * DAY_SECONDS), UTC)
