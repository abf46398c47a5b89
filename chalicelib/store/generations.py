"""The transactions that make a new generation of a guest the one that is heard.

    instance.generation    whose queue, key and reports count; it grows and never comes back
    service-statuses       nothing is reported yet: the old generation's heartbeats are stale now

Both rows change together, so that whoever reads either knows it. What the older generations still
have, a key and a queue, is taken away by `chalicelib.conductor.generations`.
"""

from __future__ import annotations

from typing import Final

from pynamodb.expressions.update import Action
from pynamodb.transactions import TransactWrite

from chalicelib import aws, lifecycle
from chalicelib.lifecycle import ServiceStatus
from chalicelib.store.base import Claim, as_dict, transacted
from chalicelib.store.events import Asked, asked_by, new_event
from chalicelib.store.models import Instance, Operation, ServiceStatusRow
from chalicelib.store.subjects import calling_back, faulty, unchanged

MOST_GENERATIONS: Final = 200
"""Of one instance: taking the older ones' keys and queues away goes through all of them."""


def begin(operation: Operation, step: str) -> bool:
    """Make the next generation the present one, and the operation's; False when others were faster.

    A step makes one at most, and its record says which. Clauses: the operation is the instance's
    live one, and its generation the present one (an expulsion meanwhile); the step has made none
    (a second run that overtook the first).
    """
    before, generation = operation.generation, int(operation.generation) + 1
    event = new_event(
        operation.instance_id,
        "guest.replaced",
        f"Generation {generation} of the guest is awaited; the one before is refused from now on.",
        operation.tenant_id,
        asked_by(operation),
    )

    own: list[Action] = [
        Operation.generation.set(generation),
        Operation.resources[step].set(generation),
        Operation.enrolled_server.remove(),  # of the generation before
    ]

    def build(write: TransactWrite) -> None:
        write.save(event)
        write.update(
            Instance(operation.instance_id),
            actions=[Instance.generation.set(generation)],
            condition=(Instance.generation == before) & (Instance.operation_id == operation.id),
        )
        write.update(
            Operation(operation.id),
            actions=own,
            condition=(Operation.generation == before) & Operation.resources[step].does_not_exist(),
        )
        _unheard(write, operation.instance_id, generation, ServiceStatus.NEW)

    if not transacted(build):
        return False
    operation.generation = generation
    operation.resources = {**as_dict(operation.resources), step: generation}
    return True


def guest_is_lost(operation: Operation, instance: Instance) -> bool:
    """Whether the guest of an operation is not the instance's any more: it was expelled."""
    return bool(instance.generation > operation.generation)


def expel(instance: Instance, reason: str, asked: Asked, claim: Claim | None = None) -> bool:
    """End the present generation without a next guest; False on a lost race.

    No enrolment token names the generation that follows, so nobody is heard before a rebuild. The
    live operation is told to go back. Clauses: status, operations and generation are as they were
    read.
    """
    generation = int(instance.generation) + 1
    target = lifecycle.next_status(instance.status, lifecycle.EXPELLED)
    actions: list[Action] = [
        Instance.generation.set(generation),
        Instance.status.set(target),
        Instance.updated.set(aws.clock()),
        *faulty(reason),
    ]
    event = new_event(instance.id, "guest.expelled", reason, instance.tenant_id, asked)
    call_back = calling_back(instance, "The guest was expelled by an administrator.")
    same = unchanged(instance, "generation")

    def build(write: TransactWrite) -> None:
        write.save(event)
        write.update(instance, actions=actions, condition=same)
        _unheard(write, instance.id, generation, ServiceStatus.UNKNOWN)
        call_back(write)

    return transacted(build, claim)


def _unheard(
    write: TransactWrite, instance_id: str, generation: int, status: ServiceStatus
) -> None:
    """Nothing of this generation was heard; its first epoch is 1."""
    actions: list[Action] = [
        ServiceStatusRow.generation.set(generation),
        ServiceStatusRow.epoch.set(0),
        ServiceStatusRow.seq.set(0),
        ServiceStatusRow.status.set(status),
        ServiceStatusRow.updated.set(aws.clock()),
        ServiceStatusRow.status_reason.remove(),
    ]
    write.update(ServiceStatusRow(instance_id), actions=actions)
