"""The transaction that ends an operation: operation, instance, quota, event, and what is next."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from typing import Final

import msgspec
from pynamodb.expressions.update import Action
from pynamodb.transactions import TransactWrite

from chalicelib import aws, lifecycle
from chalicelib.domain.flows import FLOWS, What
from chalicelib.domain.operations import STARTABLE, OperationAction, OperationStatus, live_shard
from chalicelib.lifecycle import ServiceStatus, Status
from chalicelib.store import outcomes, quotas
from chalicelib.store.base import ConditionFailed, Contended, as_dict, races, transact, update_if
from chalicelib.store.events import asked_by, new_event
from chalicelib.store.instances import buried, faulty, find_instance, history_ends, unchanged
from chalicelib.store.models import Arguments, Instance, Operation, ServiceStatusRow
from chalicelib.store.operations import CHECK_AFTER_SECONDS, get_operation
from chalicelib.store.outcomes import Outcome

TOLD_BY_EXPULSION: Final = frozenset({"generation", "fault_message", "fault_created"})
"""What the end of an operation leaves as it is when its guest was expelled meanwhile."""

FORGOTTEN: Final = (
    "The tables were restored to a moment at which the instance did not know of this operation; "
    "if the instance is there, ask again."
)


class Ending(msgspec.Struct, frozen=True):
    """How an operation ends; `chalicelib.store.outcomes` says what that does to its instance.

    `undone`: it failed, and nothing of it is left. `reported` is what the guest said in its answer;
    its heartbeat, if that was faster, stands.
    """

    status: OperationStatus
    reason: str = ""
    undone: bool = False
    reported: ServiceStatus | None = None

    @property
    def what(self) -> What:
        """What has happened to the instance."""
        if self.status is OperationStatus.SUCCEEDED:
            return What.SUCCEEDED
        return What.UNDONE if self.undone else What.FAILED


def failure(operation: Operation, status: OperationStatus, reason: str) -> Ending:
    """The end of an operation that did not succeed, and what the user is told of it."""
    flow, recorded = FLOWS[operation.action], as_dict(operation.ended)
    told = flow.told(reason, flow.unfinished(recorded))
    return Ending(status, reason=told, undone=flow.ended(recorded) is What.UNDONE)


def end_operation(operation: Operation, ending: Ending) -> str | None:
    """Make an operation terminal together with everything that follows from it.

    Returns the id of the operation that is live next, if one was queued. Clauses: the operation is
    not terminal yet and is the instance's live one (a second run of the last step); the queue
    behind it is as it was read (a delete that is accepted meanwhile), and so is the generation (an
    expulsion). Already ended is success.
    """
    for until in races():
        instance = find_instance(operation.instance_id)
        if instance is None:
            _end_alone(operation, ending)
            return None
        if instance.operation_id != operation.id:
            return instance.operation_id
        following = instance.next_operation_id
        if following is not None and _removes(operation, ending):
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
    live = Operation.status.is_in(*STARTABLE)

    def build(write: TransactWrite) -> None:
        write.update(Operation(operation.id), actions=close, condition=live)
        if operation.secret:
            write.delete(Arguments(operation.id))
        if ending.what is What.UNDONE or _removes(operation, ending):
            write.delete(ServiceStatusRow(operation.instance_id))

    with suppress(ConditionFailed):
        transact(build)


def end_forgotten(operation: Operation) -> bool:
    """End a queued operation that its instance knows nothing of; False when it has to wait.

    Its table was restored to an earlier moment, and what was before it has nobody to hand over to.
    Clause: it is queued (its turn comes meanwhile).
    """
    instance = find_instance(operation.instance_id)
    if instance is not None and instance.next_operation_id == operation.id:
        return False
    close = _close(OperationStatus.FAILED, FORGOTTEN)
    update_if(Operation(operation.id), close, Operation.status == OperationStatus.QUEUED)
    return True


def _removes(operation: Operation, ending: Ending) -> bool:
    return operation.action == OperationAction.DELETE and ending.what is What.SUCCEEDED


def _end(
    operation: Operation,
    ending: Ending,
    instance: Instance,
    following: str | None,
    moot: str | None,
) -> Callable[[TransactWrite], None]:
    """The items of the last transaction; `moot` is a queued delete with nothing left to do."""
    made = outcomes.outcome(operation, ending.what)
    target, actions = _changes(operation, ending, instance, following, made)
    kind = f"{operation.action}.{ending.status.lower()}"
    event = new_event(instance.id, kind, ending.reason, instance.tenant_id, asked_by(operation))
    close = _close(ending.status, ending.reason)
    freed, now = _freed(instance, made), aws.clock()
    same = unchanged(instance, "generation")
    queued = following or moot
    then = _accept(following) if following else close

    def build(write: TransactWrite) -> None:
        write.save(event)
        write.update(operation, actions=close, condition=Operation.status.is_in(*STARTABLE))
        write.update(instance, actions=actions, condition=same)
        if operation.secret:
            write.delete(Arguments(operation.id))
        if target is Status.DELETED:
            write.delete(ServiceStatusRow(instance.id))
        if freed:
            quotas.release(write, instance.tenant_id, freed)
        if queued is not None:
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


def _changes(
    operation: Operation, ending: Ending, instance: Instance, following: str | None, made: Outcome
) -> tuple[Status, list[Action]]:
    """The instance's next status, and the update of its row."""
    event = FLOWS[operation.action].event(ending.what)
    overtaken = _is_overtaken(operation, instance)
    if following:
        target = Status.SHUTDOWN
    elif overtaken:
        target = Status.ERROR
    else:
        target = lifecycle.next_status(instance.status, event)
    actions = made.actions(without=TOLD_BY_EXPULSION if overtaken else frozenset())
    actions += [Instance.status.set(target), Instance.updated.set(aws.clock())]
    actions += _hand_over(following)
    if ending.what is not What.SUCCEEDED and following is None and not overtaken:
        actions += faulty(ending.reason)
    if (holds := made.held_after(instance.held)) != instance.held:
        actions.append(Instance.held.set(holds))
    if target is Status.DELETED:
        actions += buried()
    return target, actions


def _is_overtaken(operation: Operation, instance: Instance) -> bool:
    """Whether its guest was expelled meanwhile: the instance needs a rebuild, whatever came of it.

    A create has taken its instance back then, and a delete takes all of it away.
    """
    if operation.action in (OperationAction.CREATE, OperationAction.DELETE):
        return False
    return bool(instance.generation > operation.generation)


def _freed(instance: Instance, made: Outcome) -> dict[str, int]:
    """What of the quota is given back; less than nothing of a volume that others have grown."""
    holds = made.held_after(instance.held)
    freed = {name: int(amount) - holds.get(name, 0) for name, amount in instance.held.items()}
    return {name: amount for name, amount in freed.items() if amount}


def _hand_over(following: str | None) -> list[Action]:
    if following is None:
        return [Instance.operation_id.remove(), Instance.next_operation_id.remove()]
    return [Instance.operation_id.set(following), Instance.next_operation_id.remove()]


def _close(status: OperationStatus, reason: str) -> list[Action]:
    now = aws.clock()
    actions: list[Action] = [
        Operation.status.set(status),
        Operation.updated.set(now),
        Operation.expires.set(history_ends(now)),
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
