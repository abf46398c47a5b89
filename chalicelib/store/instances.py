"""Instance rows: reading them, their reset, and what makes one history.

`accepting` and `ending` hold the transactions of operations, `subjects` what all kinds share.
"""

from __future__ import annotations

from collections.abc import Iterable

from pynamodb.expressions.update import Action
from pynamodb.transactions import TransactWrite

from chalicelib import aws, lifecycle
from chalicelib.errors import NotFound
from chalicelib.lifecycle import ServiceStatus, Status
from chalicelib.store.base import Claim, transacted
from chalicelib.store.events import Asked, new_event
from chalicelib.store.models import Instance, ServiceStatusRow
from chalicelib.store.subjects import calling_back, faulty, history_ends, unchanged


def get_instance(instance_id: str, tenant_id: str | None = None, *, gone: bool = False) -> Instance:
    """The live instance, read consistently; `NotFound` for another tenant's or a deleted one.

    `tenant_id` None is an administrator's or the control plane's own look. With `gone` a deleted
    one is found too, as long as its row is kept.
    """
    row = find_instance(instance_id)
    deleted = row is not None and row.status == Status.DELETED and not gone
    if row is None or deleted or tenant_id not in (None, row.tenant_id):
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


def epoch_of(instance_id: str) -> int:
    """The number of the agent's last start that has reported; 0 for none."""
    reported = service_status(instance_id)
    return int(reported.epoch) if reported is not None else 0


def reset_status(
    instance: Instance, reason: str, asked: Asked | None = None, claim: Claim | None = None
) -> bool:
    """An administrator's reset; the live operation is told to go back. False on a lost race.

    `Claimed` when the key of the request has an answer already.
    """
    target = lifecycle.next_status(instance.status, lifecycle.RESET)
    actions: list[Action] = [Instance.status.set(target), Instance.updated.set(aws.clock())]
    if target is Status.ERROR:
        actions += faulty(reason)
    record = new_event(instance.id, "status.reset", reason, instance.tenant_id, asked)
    call_back = calling_back(instance, reason)

    def build(write: TransactWrite) -> None:
        write.save(record)
        write.update(instance, actions=actions, condition=unchanged(instance))
        service = ServiceStatusRow(instance.id)
        write.update(service, actions=[ServiceStatusRow.status.set(ServiceStatus.UNKNOWN)])
        call_back(write)

    return transacted(build, claim)


def buried() -> list[Action]:
    """What makes a row history: out of the tenant's index, gone after some days."""
    now = aws.clock()
    return [
        Instance.index_tenant.remove(),
        Instance.deleted_at.set(now),
        Instance.expires.set(history_ends(now)),
    ]
