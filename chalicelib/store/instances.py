"""Instance rows and the transactions that accept and end their operations.

    accept_create   instance + operation + quota + event           one transaction
    accept_delete   instance + operation + event                   one transaction
    accept_access   instance + operation + event                   one transaction
    end_operation   operation + instance + quota + event (+ next)  one transaction

Whoever reads a row between two of them sees a whole state.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextlib import suppress
from datetime import UTC, datetime
from typing import Final

import msgspec
from pynamodb.expressions.condition import Condition
from pynamodb.expressions.update import Action
from pynamodb.transactions import TransactWrite

from chalicelib import aws, lifecycle
from chalicelib.domain.operations import STARTABLE, OperationStatus, live_shard
from chalicelib.domain.quotas import require_fit
from chalicelib.errors import NotFound
from chalicelib.lifecycle import Event, ServiceStatus, Status
from chalicelib.settings import settings
from chalicelib.store import quotas
from chalicelib.store.base import ConditionFailed, Contended, as_dict, races, transact, update_if
from chalicelib.store.events import Asked, new_event
from chalicelib.store.models import (
    Arguments,
    EventRow,
    Instance,
    Operation,
    Quota,
    ServiceStatusRow,
)
from chalicelib.store.operations import CHECK_AFTER_SECONDS, get_operation

DAY_SECONDS: Final = 86400


class Ending(msgspec.Struct, frozen=True):
    """How an operation ends, and what that does to its instance.

    `reported` is what the guest said in its answer; its heartbeat, if that was faster, stands.
    """

    status: OperationStatus
    event: Event
    reason: str = ""
    changes: tuple[Action, ...] = ()
    release_quota: bool = False
    reported: ServiceStatus | None = None


def get_instance(instance_id: str, tenant_id: str | None = None) -> Instance:
    """The live instance, read consistently; `NotFound` for another tenant's or a deleted one.

    `tenant_id` None is an administrator's or the control plane's own look.
    """
    row = find_instance(instance_id)
    if row is None or row.status == Status.DELETED or tenant_id not in (None, row.tenant_id):
        raise NotFound(f"Instance {instance_id} cannot be found.")
    return row


def find_instance(instance_id: str) -> Instance | None:
    """The row, deleted or not, read consistently, or None."""
    try:
        return Instance.get(instance_id, consistent_read=True)
    except Instance.DoesNotExist:
        return None


def find_instances(instance_ids: Iterable[str]) -> dict[str, Instance]:
    """The rows that are there, deleted or not, by id, read consistently a hundred at a time."""
    rows = Instance.batch_get(list(instance_ids), consistent_read=True)
    return {row.id: row for row in rows}


def list_instances(tenant_id: str, limit: int, marker: str | None) -> tuple[list[Instance], bool]:
    """A page of a tenant's instances ordered by id, and whether there are more."""
    condition: Condition | None = Instance.id > marker if marker else None
    rows = list(Instance.tenant_index.query(tenant_id, condition, limit=limit + 1))
    return rows[:limit], len(rows) > limit


def service_statuses(instance_ids: Iterable[str]) -> dict[str, ServiceStatusRow]:
    """What the guests reported last, by instance id."""
    rows = ServiceStatusRow.batch_get(list(instance_ids))
    return {row.instance_id: row for row in rows}


def service_status(instance_id: str) -> ServiceStatusRow | None:
    """What the guest reported last, read consistently."""
    try:
        return ServiceStatusRow.get(instance_id, consistent_read=True)
    except ServiceStatusRow.DoesNotExist:
        return None


def accept_create(instance: Instance, operation: Operation, held: dict[str, int]) -> None:
    """Make the instance, its operation and its hold on the quota durable at once.

    Clauses: the quota still fits (racing creates); neither id is taken. Raises `OverLimit`.
    """
    instance.operation_id = operation.id
    instance.held = held
    sealed, operation.sealed_args = operation.sealed_args, None
    operation.secret = sealed is not None
    event = new_event(instance.id, "create.accepted", "", instance.tenant_id, _asked(operation))
    for until in races():
        quota = quotas.get_quota(instance.tenant_id)
        require_fit(quotas.used_of(quota), held, quotas.limits_of(quota))
        try:
            transact(_creation(instance, operation, sealed, event, quota), until)
            return
        except ConditionFailed:
            continue
    raise Contended("The quota is being changed by other requests at the moment; try again.")


def _creation(
    instance: Instance, operation: Operation, sealed: str | None, event: EventRow, quota: Quota
) -> Callable[[TransactWrite], None]:
    service = ServiceStatusRow(
        instance_id=instance.id,
        generation=instance.generation,
        status=ServiceStatus.NEW,
        updated=instance.created,
    )

    def build(write: TransactWrite) -> None:
        write.save(instance, condition=Instance.id.does_not_exist())
        write.save(operation, condition=Operation.id.does_not_exist())
        if sealed is not None:
            expires = datetime.fromtimestamp(int(operation.deadline + DAY_SECONDS), UTC)
            write.save(Arguments(operation.id, sealed=sealed, expires=expires))
        write.save(event)
        write.save(service)
        quotas.reserve(write, quota, instance.held)

    return build


def _asked(operation: Operation) -> Asked:
    return Asked(operation.user_id, operation.request_id)


def _applied(build: Callable[[TransactWrite], None]) -> bool:
    """Write a transaction; False when a condition of it fails, which is a lost race."""
    try:
        transact(build)
    except ConditionFailed:
        return False
    return True


def accept_delete(instance: Instance, operation: Operation) -> bool:
    """Take the instance to SHUTDOWN with its delete operation; False when another was faster.

    With an operation still live (a change of the access, or after a reset) the delete is queued
    behind it, and it is called back: nobody waits for a change of what is going away. Clauses:
    status and operations are as they were read (two deletes at once, a flow that ends meanwhile).
    """
    if instance.next_operation_id is not None:
        return False
    target = lifecycle.next_status(instance.status, Event.DELETE_ACCEPTED)
    queued = instance.operation_id is not None
    operation.status = OperationStatus.QUEUED if queued else OperationStatus.ACCEPTED
    owner = Instance.next_operation_id if queued else Instance.operation_id
    actions: list[Action] = [
        Instance.status.set(target),
        Instance.updated.set(aws.clock()),
        owner.set(operation.id),
    ]
    event = new_event(instance.id, "delete.accepted", "", instance.tenant_id, _asked(operation))

    def build(write: TransactWrite) -> None:
        write.save(operation, condition=Operation.id.does_not_exist())
        write.save(event)
        write.update(instance, actions=actions, condition=unchanged(instance))
        _call_back(write, instance, "The instance is being deleted.")

    return _applied(build)


def accept_access(instance: Instance, operation: Operation) -> bool:
    """Take up a change of the access of an instance that stays as it is; False on a lost race.

    Clauses: status and operations are as they were read (two changes at once, a delete meanwhile);
    so is the access, of which the operation keeps what it does not change (another change that has
    begun and ended meanwhile).
    """
    assert instance.operation_id is None, "one live operation per instance"
    actions: list[Action] = [Instance.operation_id.set(operation.id)]
    known = instance.access
    same = Instance.access.does_not_exist() if known is None else Instance.access == known
    event = new_event(instance.id, "access.accepted", "", instance.tenant_id, _asked(operation))

    def build(write: TransactWrite) -> None:
        write.save(operation, condition=Operation.id.does_not_exist())
        write.save(event)
        write.update(instance, actions=actions, condition=unchanged(instance) & same)

    return _applied(build)


def accept_queued_delete(instance: Instance, asked: Asked | None = None) -> bool:
    """Take an instance back to SHUTDOWN that was reset while a delete waits; False on a lost race.

    The delete that is queued is the one that was asked for: no second one is made.
    """
    target = lifecycle.next_status(instance.status, Event.DELETE_ACCEPTED)
    actions: list[Action] = [Instance.status.set(target), Instance.updated.set(aws.clock())]
    said = "It is queued already."
    event = new_event(instance.id, "delete.accepted", said, instance.tenant_id, asked)

    def build(write: TransactWrite) -> None:
        write.save(event)
        write.update(instance, actions=actions, condition=unchanged(instance))

    return _applied(build)


def reset_status(instance: Instance, reason: str, asked: Asked | None = None) -> bool:
    """An administrator's reset; the live operation is told to go back. False on a lost race."""
    target = lifecycle.next_status(instance.status, Event.RESET)
    actions: list[Action] = [Instance.status.set(target), Instance.updated.set(aws.clock())]
    if target is Status.ERROR:
        actions += faulty(reason)
    record = new_event(instance.id, "status.reset", reason, instance.tenant_id, asked)

    def build(write: TransactWrite) -> None:
        write.save(record)
        write.update(instance, actions=actions, condition=unchanged(instance))
        service = ServiceStatusRow(instance.id)
        write.update(service, actions=[ServiceStatusRow.status.set(ServiceStatus.UNKNOWN)])
        _call_back(write, instance, reason)

    return _applied(build)


def _call_back(write: TransactWrite, instance: Instance, reason: str) -> None:
    """Tell the live operation, if there is one, to go back; the first reason stays.

    Clause: it has not ended (a flow that ends meanwhile).
    """
    if instance.operation_id is None:
        return
    actions: list[Action] = [
        Operation.cancelled.set(Operation.cancelled | reason),
        Operation.check_at.set(aws.clock()),
    ]
    write.update(
        Operation(instance.operation_id), actions=actions, condition=Operation.live.exists()
    )


def end_operation(operation: Operation, ending: Ending) -> str | None:
    """Make an operation terminal together with everything that follows from it.

    Returns the id of the operation that is live next, if one was queued. Clauses: the operation is
    not terminal yet and is the instance's live one (a second run of the last step); the queue
    behind it is as it was read (a delete that is accepted meanwhile). Already ended is success.
    """
    for until in races():
        instance = find_instance(operation.instance_id)
        if instance is None:
            _end_alone(operation, ending)
            return None
        if instance.operation_id != operation.id:
            return instance.operation_id
        following = instance.next_operation_id
        if following is not None and ending.event is Event.DELETE_SUCCEEDED:
            moot, following = following, None
        else:
            moot = None
        try:
            transact(_end(operation, ending, instance, following, moot), until)
            return following
        except ConditionFailed:
            ending = msgspec.structs.replace(ending, reported=None)
    stored = get_operation(operation.id)
    if stored is not None and stored.live is None:
        return None
    raise Contended("The instance is being changed by others at the moment.")


def _end_alone(operation: Operation, ending: Ending) -> None:
    """End an operation whose instance has no row: its table was restored to an earlier moment.

    Clause: the operation is not terminal yet (a second run of the last step).
    """
    close = _close(ending.status, ending.reason)
    with suppress(ConditionFailed):
        update_if(Operation(operation.id), close, Operation.status.is_in(*STARTABLE))


def _end(
    operation: Operation,
    ending: Ending,
    instance: Instance,
    following: str | None,
    moot: str | None,
) -> Callable[[TransactWrite], None]:
    """The items of the last transaction; `moot` is a queued delete with nothing left to do."""
    target = Status.SHUTDOWN if following else lifecycle.next_status(instance.status, ending.event)
    now = aws.clock()
    actions = [
        *ending.changes,
        Instance.status.set(target),
        Instance.updated.set(now),
        *_hand_over(following),
    ]
    if ending.status is not OperationStatus.SUCCEEDED and following is None:
        actions += faulty(ending.reason)
    if ending.release_quota:
        actions.append(Instance.held.set({}))
    if target is Status.DELETED:
        actions += buried()
    kind = f"{operation.action}.{ending.status.lower()}"
    event = new_event(instance.id, kind, ending.reason, instance.tenant_id, _asked(operation))
    close = _close(ending.status, ending.reason)

    def build(write: TransactWrite) -> None:
        write.save(event)
        write.update(operation, actions=close, condition=Operation.status.is_in(*STARTABLE))
        write.update(instance, actions=actions, condition=unchanged(instance))
        if operation.secret:
            write.delete(Arguments(operation.id))
        if target is Status.DELETED:
            write.delete(ServiceStatusRow(instance.id))
        if ending.release_quota and instance.held:
            quotas.release(write, instance.tenant_id, instance.held)
        if queued := following or moot:
            then = _accept(queued) if following else close
            clause = Operation.status == OperationStatus.QUEUED
            write.update(Operation(queued), actions=then, condition=clause)
        if ending.reported is not None:
            report: list[Action] = [
                ServiceStatusRow.status.set(ending.reported),
                ServiceStatusRow.updated.set(now),
            ]
            clause = ServiceStatusRow.status == ServiceStatus.NEW  # no heartbeat was faster
            write.update(ServiceStatusRow(instance.id), actions=report, condition=clause)

    return build


def recorded_resources(operation: Operation) -> tuple[Action, ...]:
    """What an operation made, moved to the row of its instance."""
    resources = as_dict(operation.resources)
    addresses = resources.pop("addresses", [])
    return (Instance.resources.set(resources), Instance.addresses.set(addresses))


def unchanged(instance: Instance) -> Condition:
    """Clauses that nothing this module decides by has changed since the row was read."""
    condition = Instance.status == instance.status
    for attribute, value in (
        (Instance.operation_id, instance.operation_id),
        (Instance.next_operation_id, instance.next_operation_id),
    ):
        condition &= attribute.does_not_exist() if value is None else attribute == value
    return condition


def _hand_over(following: str | None) -> list[Action]:
    if following is None:
        return [Instance.operation_id.remove(), Instance.next_operation_id.remove()]
    return [Instance.operation_id.set(following), Instance.next_operation_id.remove()]


def faulty(reason: str) -> list[Action]:
    """The fault that clients are shown with the status ERROR."""
    return [Instance.fault_message.set(reason[:1024]), Instance.fault_created.set(aws.clock())]


def buried() -> list[Action]:
    """What makes a row history: out of the tenant's index, gone after some days."""
    now = aws.clock()
    return [
        Instance.index_tenant.remove(),
        Instance.deleted_at.set(now),
        Instance.expires.set(_ttl(now)),
    ]


def _ttl(now: float) -> datetime:
    return datetime.fromtimestamp(int(now + settings().deleted_row_days * DAY_SECONDS), UTC)


def _close(status: OperationStatus, reason: str) -> list[Action]:
    now = aws.clock()
    actions: list[Action] = [
        Operation.status.set(status),
        Operation.updated.set(now),
        Operation.expires.set(_ttl(now)),
        Operation.live.remove(),
        Operation.check_at.remove(),
        Operation.lease_id.remove(),
        Operation.lease_until.remove(),
        Operation.sealed_args.remove(),
    ]
    if reason:
        actions.append(Operation.reason.set(reason[:1024]))  # as the instance's fault tells it
    return actions


def _accept(operation_id: str) -> list[Action]:
    return [
        Operation.status.set(OperationStatus.ACCEPTED),
        Operation.check_at.set(aws.clock() + CHECK_AFTER_SECONDS),
        Operation.updated.set(aws.clock()),
        Operation.live.set(live_shard(operation_id)),
    ]
