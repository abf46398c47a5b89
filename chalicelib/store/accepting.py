"""The transactions that accept operations.

    accept_create   subject + operation + quota + event             one transaction
    accept          operation + subject + event (+ quota)           one transaction

Whoever reads a row between two of them sees a whole state. Each takes a `claim` along: what is
answered, with the key of the request (`chalicelib.store.replies`). `Claimed` when that key has an
answer already; nothing is accepted then.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any

from pynamodb.expressions.update import Action
from pynamodb.transactions import TransactWrite

from chalicelib import aws, lifecycle
from chalicelib.domain.flows import DELETE, FLOWS, What
from chalicelib.domain.operations import OperationStatus
from chalicelib.domain.quotas import require_fit
from chalicelib.store import quotas
from chalicelib.store.base import (
    Claim,
    ConditionFailed,
    Contended,
    races,
    transact,
    transacted,
)
from chalicelib.store.children import may_begin
from chalicelib.store.events import Asked, asked_by, new_event
from chalicelib.store.kinds import KINDS, Items
from chalicelib.store.models import Arguments, EventRow, Instance, Operation, Quota, Subject
from chalicelib.store.subjects import DAY_SECONDS, calling_back, setting, unchanged


def accept_create(
    subject: Subject, operation: Operation, held: dict[str, int], claim: Claim | None = None
) -> None:
    """Make a subject, its operation and its hold on the quota durable at once.

    Clauses: the quota still fits (racing creates); neither id is taken; those of its kind. Raises
    `OverLimit`, and what its kind raises.
    """
    subject.operation_id = operation.id
    subject.held = held
    sealed, operation.sealed_args = operation.sealed_args, None
    operation.secret = sealed is not None
    kind = f"{operation.action}.accepted"
    event = new_event(subject.id, kind, "", subject.told_to, asked_by(operation))
    for until in races():
        quota = quotas.get_quota(subject.tenant_id) if held else None
        if quota is not None:
            require_fit(quotas.used_of(quota), held, quotas.limits_of(quota))
        try:
            transact(_creation(subject, operation, sealed, event, quota), until, claim)
            return
        except ConditionFailed:
            continue
    raise Contended("Other requests change the same at the moment; try again.")


def _creation(
    subject: Subject, operation: Operation, sealed: str | None, event: EventRow, quota: Quota | None
) -> Callable[[TransactWrite], None]:
    kind = KINDS[operation.kind]
    beside, beside_accepted = kind.beside_new(subject), kind.beside_accepted(operation)

    def build(write: TransactWrite) -> None:
        write.save(subject, condition=Subject.id.does_not_exist())
        write.save(operation, condition=Operation.id.does_not_exist())
        if sealed is not None:
            expires = datetime.fromtimestamp(int(operation.deadline + DAY_SECONDS), UTC)
            write.save(Arguments(operation.id, sealed=sealed, expires=expires))
        write.save(event)
        beside(write)
        beside_accepted(write)
        if quota is not None:
            quotas.reserve(write, quota, subject.held)

    return build


def accept(
    subject: Subject,
    operation: Operation,
    *,
    holds: Mapping[str, int] | None = None,
    decided_by: tuple[str, ...] = (),
    changes: Mapping[str, Any] = {},
    beside: Items | None = None,
    parent: Operation | None = None,
    claim: Claim | None = None,
) -> bool:
    """Take an operation up for a subject that is there; False when another was faster.

    A flow that queues is put behind what is live, and calls it back: nobody waits for a change of
    what is going away. `holds` is what the subject holds of the quota from now on, None what it
    holds already; `OverLimit` when more does not fit. Clauses: status and operations are as they
    were read (two requests at once, a flow that ends meanwhile), and so are the attributes that the
    caller has `decided_by`; the quota still fits; the `parent` that begins it may
    (`chalicelib.store.children`); those of its kind. `changes` are attributes of the subject that
    are other ones from now on, whatever becomes of the operation, and `beside` what is written with
    them.
    """
    flow = FLOWS[operation.action]
    if subject.next_operation_id is not None:
        return False
    queued = subject.operation_id is not None
    assert flow.queues or not queued, "one live operation per subject"
    operation.status = OperationStatus.QUEUED if queued else OperationStatus.ACCEPTED
    owner = Subject.next_operation_id if queued else Subject.operation_id
    target = lifecycle.next_status(subject.status, flow.event(What.ACCEPTED), flow.subject)
    actions: list[Action] = [owner.set(operation.id), *setting(type(subject), changes)]
    if target != subject.status:
        actions += [Subject.status.set(target), Subject.updated.set(aws.clock())]
    if holds is not None:
        actions.append(Subject.held.set(dict(holds)))
    kind = f"{operation.action}.accepted"
    event = new_event(subject.id, kind, "", subject.told_to, asked_by(operation))
    call_back = calling_back(subject, f"The {flow.subject} is being deleted.")
    same = unchanged(subject, *decided_by)
    reserve = _reservation(subject, holds) if holds is not None else None
    read = KINDS[operation.kind].beside_accepted(operation)

    def build(write: TransactWrite) -> None:
        write.save(operation, condition=Operation.id.does_not_exist())
        write.save(event)
        write.update(subject, actions=actions, condition=same)
        call_back(write)
        read(write)
        if beside is not None:
            beside(write)
        if parent is not None:
            write.condition_check(Operation, parent.id, condition=may_begin(parent))
        if reserve is not None:
            reserve(write)

    return transacted(build, claim)


def _reservation(
    subject: Subject, holds: Mapping[str, int]
) -> Callable[[TransactWrite], None] | None:
    """The part of a transaction that moves the quota's counters, by the difference; None if none.

    Raises `OverLimit`.
    """
    held: Mapping[str, Any] = subject.held
    delta = {name: amount - int(held.get(name, 0)) for name, amount in holds.items()}
    more = {name: amount for name, amount in delta.items() if amount}
    if not more:
        return None
    quota = quotas.get_quota(subject.tenant_id)
    require_fit(quotas.used_of(quota), more, quotas.limits_of(quota))
    return lambda write: quotas.reserve(write, quota, more)


def accept_queued_delete(
    instance: Instance, asked: Asked | None = None, claim: Claim | None = None
) -> bool:
    """Take an instance back to SHUTDOWN that was reset while a delete waits; False on a lost race.

    The delete that is queued is the one that was asked for: no second one is made.
    """
    target = lifecycle.next_status(instance.status, DELETE.event(What.ACCEPTED))
    actions: list[Action] = [Instance.status.set(target), Instance.updated.set(aws.clock())]
    said = "It is queued already."
    event = new_event(instance.id, f"{DELETE.action}.accepted", said, instance.tenant_id, asked)

    def build(write: TransactWrite) -> None:
        write.save(event)
        write.update(instance, actions=actions, condition=unchanged(instance))

    return transacted(build, claim)
