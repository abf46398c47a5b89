"""After a restore of tables to an earlier moment: rows made again, put right, and counted again.

    restored table     the cloud and the tables that were not restored
    ──────────────     ───────────────────────────────────────────────
    no row             things with a record of the row              adopt
    an older row       the operations since then                    mend
    older holds        the quota's counters                         recount

Nothing else may write these rows meanwhile: `docs/operations.md` says how the entrances are closed.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from enum import StrEnum
from typing import Any, Final

from pynamodb.expressions.update import Action
from pynamodb.transactions import TransactWrite

from chalicelib import aws
from chalicelib.domain.configurations import UNKNOWN
from chalicelib.domain.flows import FLOWS, What
from chalicelib.domain.operations import STARTABLE, OperationAction, OperationStatus
from chalicelib.domain.quotas import RESOURCES, held_by_instance
from chalicelib.lifecycle import ServiceStatus, Status, next_status
from chalicelib.store import backups, outcomes, quotas, records
from chalicelib.store.base import ConditionFailed, Contended, as_dict, races, transact, update_if
from chalicelib.store.events import new_event
from chalicelib.store.instances import buried
from chalicelib.store.models import Instance, Operation, Quota, ServiceStatusRow
from chalicelib.store.operations import get_operation, operations_of
from chalicelib.store.subjects import faulty, setting, unchanged

MOST_RECORD: Final = 16_384
"""Characters, as ASCII: Nova takes 128 values of 255, which leaves room for what is not a note."""
NEWEST_OPERATIONS: Final = 50
"""So far back a row is put right: more changes of one instance than a restore should span."""


class Record(records.Record, kw_only=True):
    """What the cloud keeps of a row: all that was asked for with the create, in the row's units."""

    image: dict[str, Any]
    flavor_id: str
    flavor_ram: int
    flavor_vcpus: int
    volume_size: int
    region: str
    volume_type: str | None = None
    availability_zone: str | None = None
    locality: str | None = None
    access: dict[str, Any] | None = None
    nics: list[dict[str, Any]] | None = None
    protected: bool | None = None
    configuration_id: str | None = None
    tags: set[str] | None = None


def record_of(instance: Instance) -> dict[str, Any]:
    """What a row can be made again from; without notes that are too long to be kept beside it."""
    record = records.of(instance, Record)
    for note in ("tags", "description"):
        if len(json.dumps(record)) > MOST_RECORD:
            record.pop(note, None)
    return record


def row_from(instance_id: str, generation: int, record: Mapping[str, Any]) -> Instance | None:
    """The row as it is without an operation and without its resources, or None: no such record."""
    known = records.read(record, Record)
    if known is None:
        return None
    return Instance(
        id=instance_id,
        generation=generation,
        index_tenant=known.tenant_id,
        status=Status.ACTIVE,
        updated=aws.clock(),
        held=held_by_instance(known.flavor_ram, known.volume_size),
        configuration_held=UNKNOWN if known.configuration_id else None,
        **records.values(known),
    )


def under_way(instance_id: str) -> Operation | None:
    """The operation that an instance is in, whether it has a row or not."""
    return _newest(instance_id)[0]


def adopt(instance: Instance, fault: str | None) -> bool:
    """Store a row that was made again; False when there is one meanwhile.

    The quota's counters are for `recount`: the row of the tenant's quota is only made sure of. What
    the guest reported stands when its table was not restored.
    """
    running, queued, ended = _newest(instance.id)
    for operation in sorted([*ended, *([running] if running else [])], key=_age):
        for name, value in outcomes.accepted(operation).items():
            setattr(instance, name, value)
            instance.configuration_held = UNKNOWN
    if running is not None:
        instance.operation_id = running.id
        instance.next_operation_id = queued.id if queued is not None else None
        instance.status = FLOWS[(queued or running).action].during
        instance.generation = max(int(instance.generation), int(running.generation))
        if running.action == OperationAction.UPGRADE:
            # The record is of what was asked for; the row tells it when it has succeeded.
            for name, value in outcomes.of_version((running.arguments or {})["before"]).items():
                setattr(instance, name, value)
    elif fault is not None:
        instance.status = Status.ERROR
        instance.fault_message, instance.fault_created = fault, aws.clock()
    event = new_event(instance.id, "instance.adopted", fault or "", instance.tenant_id)
    report: list[Action] = [
        column.set(column | value)
        for column, value in (
            (ServiceStatusRow.status, ServiceStatus.UNKNOWN),
            (ServiceStatusRow.generation, instance.generation),
            (ServiceStatusRow.updated, aws.clock()),
        )
    ]
    nothing: list[Action] = [getattr(Quota, resource).add(0) for resource in RESOURCES]

    def build(write: TransactWrite) -> None:
        write.save(instance, condition=Instance.id.does_not_exist())
        write.update(ServiceStatusRow(instance.id), actions=report)
        write.update(Quota(instance.tenant_id), actions=nothing)
        write.save(event)

    try:
        transact(build)
    except ConditionFailed:
        return False
    return True


def wrong(instance: Instance) -> tuple[str, list[Action]] | None:
    """What a row does not know of its operations, and the actions that put it right; or None."""
    if instance.status == Status.DELETED:
        return None
    running, queued, ended = _newest(instance.id)
    if running is not None and instance.operation_id == running.id:
        if queued is not None and instance.next_operation_id != queued.id:
            return f"{queued.action} waits", [*_under_way(instance, running, queued).values()]
        if instance.generation >= running.generation:
            return None
        return "its guest is another one", [*_let_in(instance, running).values()]
    if running is None and any(
        (each.action, each.status) == (OperationAction.DELETE, OperationStatus.SUCCEEDED)
        for each in ended
    ):
        gone = [*_idle(Status.DELETED).values(), *buried(), Instance.held.set({})]
        return "it was deleted", gone
    since = _since(instance, ended)
    if since is None and running is None:
        reason = "The operation that was under way is not known any more: the tables were restored."
        held_now = _values({"configuration_held": UNKNOWN}) if _has_held(instance) else {}
        lost = _idle(Status.ERROR) | _faulty(reason) | held_now
        return "its operation is lost", [*lost.values()]
    changes: dict[str, Action] = {}
    held = dict(instance.held)
    for operation in since or []:
        changes |= _values(outcomes.accepted(operation)) | _outcome(operation, held)
    if running is not None:
        changes |= _values(outcomes.accepted(running))
        changes |= _under_way(instance, running, queued)
        return f"{running.action} is under way", [*changes.values()]
    if not since:
        return None
    return f"{since[-1].action} has {since[-1].status}", [*changes.values()]


def _since(instance: Instance, ended: list[Operation]) -> list[Operation] | None:
    """The operations whose ends a row does not know, oldest first; None when its own is lost.

    They are its own and all that were accepted later: one ends before the next one begins, and each
    end is written with a row that is younger than the operation.
    """
    own = None
    if instance.operation_id is not None:
        own = get_operation(instance.operation_id)
        if own is None:
            return None
    known = instance.updated if own is None else own.created
    later = [each for each in ended if each.created > known and each.id != instance.operation_id]
    return ([own] if own else []) + sorted(later, key=_age)


def _age(operation: Operation) -> float:
    return float(operation.created)


def _values(values: Mapping[str, Any]) -> dict[str, Action]:
    """The update of a row, by attribute."""
    return dict(zip(values, setting(Instance, values), strict=True))


def _has_held(instance: Instance) -> bool:
    return instance.configuration_id is not None or instance.configuration_held is not None


def _outcome(ended: Operation, held: dict[str, int]) -> dict[str, Action]:
    """What the end of an operation made of its instance, by attribute; `held` goes along."""
    flow = FLOWS[ended.action]
    succeeded = ended.status == OperationStatus.SUCCEEDED
    what = What.SUCCEEDED if succeeded else flow.ended(as_dict(ended.ended))
    status = next_status(flow.during, flow.event(what))
    made = outcomes.outcome(ended, what)
    changes = _idle(status) | dict(zip(made.values, made.actions(Instance), strict=True))
    if (holds := made.held_after(held)) != held:
        changes["held"] = Instance.held.set(holds)
        held.clear()
        held.update(holds)
    return changes if succeeded else changes | _faulty(ended.reason)


def _faulty(reason: str | None) -> dict[str, Action]:
    told = faulty(reason or "The operation did not finish.")
    return dict(zip(("fault_message", "fault_created"), told, strict=True))


def mend(instance: Instance, what: str, actions: list[Action]) -> None:
    """Put a row right. Clauses: it is as it was read (somebody who did not wait)."""
    event = new_event(instance.id, "instance.mended", what, instance.tenant_id)

    def build(write: TransactWrite) -> None:
        write.update(instance, actions=actions, condition=unchanged(instance))
        write.save(event)

    transact(build)


def recount(tenant_id: str, *, check: bool) -> str | None:
    """Make a tenant's counters what its rows hold; answers the difference, if there was any.

    Clause: the counters are as they were read.
    """
    for _ in races():
        quota = quotas.get_quota(tenant_id)
        used = quotas.used_of(quota)
        rows = Instance.tenant_index.query(tenant_id)
        held = dict.fromkeys(RESOURCES, 0)
        for row in rows:
            for resource, amount in row.held.items():
                held[resource] += int(amount)
        held["backups"] += backups.held_by(tenant_id)
        if held == used:
            return None
        said = ", ".join(
            f"{name} {used[name]} → {held[name]}" for name in RESOURCES if held[name] != used[name]
        )
        if check:
            return said
        as_read = Quota.tenant_id.exists()
        for resource in RESOURCES:
            counter = getattr(Quota, resource)
            same = counter == used[resource]
            as_read &= same if used[resource] else (same | counter.does_not_exist())
        actions: list[Action] = [getattr(Quota, name).set(held[name]) for name in RESOURCES]
        try:
            update_if(Quota(tenant_id), actions, as_read)
        except ConditionFailed:
            continue
        return said
    raise Contended(f"The quota of {tenant_id} is being changed by others at the moment.")


def _idle(status: StrEnum) -> dict[str, Action]:
    return {
        "status": Instance.status.set(status),
        "operation_id": Instance.operation_id.remove(),
        "next_operation_id": Instance.next_operation_id.remove(),
        "updated": Instance.updated.set(aws.clock()),
    }


def _let_in(instance: Instance, running: Operation) -> dict[str, Action]:
    """The generation of the guest that the operation that is under way waits for, if it is newer.

    A row of before would refuse it. One that was expelled since stays out.
    """
    generation = int(running.generation)
    if instance.generation >= generation:
        return {}
    return {"generation": Instance.generation.set(generation)}


def _under_way(
    instance: Instance, running: Operation, queued: Operation | None
) -> dict[str, Action]:
    changes = _idle(FLOWS[(queued or running).action].during) | _let_in(instance, running)
    changes["operation_id"] = Instance.operation_id.set(running.id)
    if queued is not None:
        changes["next_operation_id"] = Instance.next_operation_id.set(queued.id)
    return changes


def _newest(instance_id: str) -> tuple[Operation | None, Operation | None, list[Operation]]:
    """The operation that is under way, the one that waits, and the newest that have ended."""
    found = operations_of(instance_id, NEWEST_OPERATIONS)
    running = next((each for each in found if each.status in STARTABLE), None)
    queued = next((each for each in found if each.status == OperationStatus.QUEUED), None)
    return running, queued, [each for each in found if each.live is None]
