"""The transaction that ends an operation: operation, subject, quota, event, and what is next."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from typing import Final

import msgspec
from pynamodb.expressions.update import Action
from pynamodb.transactions import TransactWrite

from chalicelib import aws, lifecycle
from chalicelib.domain.backups import AFTER_FINAL, is_final
from chalicelib.domain.flows import DELETE, FLOWS, REMOVING, What
from chalicelib.domain.operations import STARTABLE, OperationStatus, live_shard, together
from chalicelib.lifecycle import ServiceStatus
from chalicelib.store import outcomes, quotas, spans
from chalicelib.store.base import ConditionFailed, Contended, as_dict, races, transact, update_if
from chalicelib.store.events import asked_by, new_event
from chalicelib.store.kinds import KINDS, Ended
from chalicelib.store.models import Arguments, Operation, Subject
from chalicelib.store.operations import CHECK_AFTER_SECONDS, get_operation, operation_of
from chalicelib.store.outcomes import Outcome
from chalicelib.store.subjects import faulty, history_ends, unchanged

FORGOTTEN: Final = (
    "The tables were restored to a moment at which the instance did not know of this operation; "
    "if the instance is there, ask again."
)


class Ending(msgspec.Struct, frozen=True):
    """How an operation ends; `chalicelib.store.outcomes` says what that does to its subject.

    `undone`: it failed, and nothing of it is left. `reported` is what the guest said in its answer;
    its heartbeat, if that was faster, stands.
    """

    status: OperationStatus
    reason: str = ""
    undone: bool = False
    reported: ServiceStatus | None = None

    @property
    def what(self) -> What:
        """What has happened to the subject."""
        if self.status is OperationStatus.SUCCEEDED:
            return What.SUCCEEDED
        return What.UNDONE if self.undone else What.FAILED


def failure(operation: Operation, status: OperationStatus, last: str = "") -> Ending:
    """The end of an operation that did not succeed, and all that the user is told of it.

    That is what called it back, what failed, and `last`: what ends it now. None hides another.
    """
    flow, recorded = FLOWS[operation.action], as_dict(operation.ended)
    left = flow.unfinished(recorded)
    reason = together(operation.cancelled, operation.reason, last)
    told = flow.told(reason or f"The {flow.title} did not finish.", left)
    why = next(filter(None, map(as_dict(operation.notes).get, left)), "") if flow.undo else ""
    if why and why not in told:
        told = f"{told.rstrip('.')}. {why}"
    return Ending(status, reason=told, undone=flow.ended(recorded) is What.UNDONE)


def end_operation(operation: Operation, ending: Ending) -> str | None:
    """Make an operation terminal together with everything that follows from it.

    Returns the id of the operation that is live next, if one was queued. Clauses: the operation is
    not terminal yet and is the subject's live one (a second run of the last step); the queue
    behind it is as it was read (a delete that is accepted meanwhile), and so is what else its kind
    is decided by (an expulsion); one that a delete follows on, or that failed, was not called back
    since it was read. Already ended is success.
    """
    for until in races():
        subject: Subject | None = KINDS[operation.kind].find(operation.subject_id)
        if subject is None:
            _end_alone(operation, ending)
            return None
        if subject.operation_id != operation.id:
            return subject.operation_id
        following, moot = subject.next_operation_id, None
        if following is not None and _removes(operation, ending):
            moot, following = following, None
        new = _deleting(operation, ending, subject) if following is None else None
        following = new.id if new is not None else following
        try:
            transact(_end(operation, ending, subject, following, moot, new), until)
        except ConditionFailed:
            ending = msgspec.structs.replace(ending, reported=None)
            operation, ending = _called_back_meanwhile(operation, ending)
        else:
            spans.tell_end(operation, ending.status)
            return following
    stored = get_operation(operation.id)
    if stored is not None and stored.live is None:
        return None
    raise Contended(f"The {operation.kind} is being changed by others at the moment.")


def _called_back_meanwhile(operation: Operation, ending: Ending) -> tuple[Operation, Ending]:
    """Both as they are now: a cancel since the operation was read is told beside what ends it."""
    stored = get_operation(operation.id)
    if stored is None or ending.what is What.SUCCEEDED:
        return operation, ending
    reason = together(stored.cancelled, ending.reason)
    return stored, msgspec.structs.replace(ending, reason=reason)


def _end_alone(operation: Operation, ending: Ending) -> None:
    """End an operation whose subject has no row: its table was restored to an earlier moment.

    Clause: the operation is not terminal yet (a second run of the last step).
    """
    close = _close(ending.status, ending.reason)
    live = Operation.status.is_in(*STARTABLE)
    gone = ending.what is What.UNDONE or _removes(operation, ending)
    told = Ended(ending.what, ending.reason, gone=gone)
    beside = KINDS[operation.kind].beside(operation, told)

    def build(write: TransactWrite) -> None:
        write.update(Operation(operation.id), actions=close, condition=live)
        if operation.secret:
            write.delete(Arguments(operation.id))
        beside(write)

    with suppress(ConditionFailed):
        transact(build)
        spans.tell_end(operation, ending.status)


def end_forgotten(operation: Operation) -> bool:
    """End a queued operation that its subject knows nothing of; False when it has to wait.

    Its table was restored to an earlier moment, and what was before it has nobody to hand over to.
    Clause: it is queued (its turn comes meanwhile).
    """
    subject = KINDS[operation.kind].find(operation.subject_id)
    if subject is not None and subject.next_operation_id == operation.id:
        return False
    close = _close(OperationStatus.FAILED, FORGOTTEN)
    update_if(Operation(operation.id), close, Operation.status == OperationStatus.QUEUED)
    spans.tell_end(operation, OperationStatus.FAILED)
    return True


def _deleting(operation: Operation, ending: Ending, subject: Subject) -> Operation | None:
    """The delete that begins with the end of the last backup of an instance, when that is made and
    was not called back meanwhile: whoever does so wants the instance kept, and that was accepted.
    """
    if ending.what is not What.SUCCEEDED or not is_final(operation.action, operation.arguments):
        return None
    stored = get_operation(operation.id)
    if stored is None or stored.cancelled:
        return None
    return operation_of(subject, DELETE, arguments=AFTER_FINAL, asked=asked_by(operation))


def _removes(operation: Operation, ending: Ending) -> bool:
    """Whether nothing of the subject is left."""
    return FLOWS[operation.action].queues and ending.what is What.SUCCEEDED


def _end(
    operation: Operation,
    ending: Ending,
    subject: Subject,
    following: str | None,
    moot: str | None,
    new: Operation | None = None,
) -> Callable[[TransactWrite], None]:
    """The items of the last transaction; `moot` is a queued delete with nothing left to do, `new`
    the one that follows and was not queued.
    """
    kind = KINDS[operation.kind]
    made = outcomes.outcome(operation, ending.what)
    actions = _changes(operation, ending, subject, following, made)
    name = f"{operation.action}.{ending.status.lower()}"
    event = new_event(subject.id, name, ending.reason, subject.told_to, asked_by(operation))
    close = _close(ending.status, ending.reason)
    freed = _freed(subject, made)
    same = unchanged(subject, *kind.decided_by)
    gone = _removes(operation, ending)
    told = Ended(ending.what, ending.reason, gone=gone, reported=ending.reported)
    beside = kind.beside(operation, told)
    leave = kind.leaving(subject) if gone else None
    queued = moot if new is not None else following or moot
    then = _accept(following) if following else close
    begins = _beginning(new, subject) if new is not None else None
    live = Operation.status.is_in(*STARTABLE)
    if new is not None or (ending.what is not What.SUCCEEDED and not operation.cancelled):
        live &= Operation.cancelled.does_not_exist()

    def build(write: TransactWrite) -> None:
        write.save(event)
        write.update(operation, actions=close, condition=live)
        write.update(subject, actions=actions, condition=same)
        if operation.secret:
            write.delete(Arguments(operation.id))
        if freed:
            quotas.release(write, subject.tenant_id, freed)
        if queued is not None:
            clause = Operation.status == OperationStatus.QUEUED
            write.update(Operation(queued), actions=then, condition=clause)
        if begins is not None:
            begins(write)
        beside(write)
        if leave is not None:
            leave(write)

    return build


def _beginning(new: Operation, subject: Subject) -> Callable[[TransactWrite], None]:
    """What is written of an operation that begins with the end of another one."""
    kind = f"{new.action}.{What.ACCEPTED}"
    event = new_event(subject.id, kind, "", subject.told_to, asked_by(new))

    def build(write: TransactWrite) -> None:
        write.save(new, condition=Operation.id.does_not_exist())
        write.save(event)

    return build


def _changes(
    operation: Operation, ending: Ending, subject: Subject, following: str | None, made: Outcome
) -> list[Action]:
    """The update of the subject's row."""
    flow, kind = FLOWS[operation.action], KINDS[operation.kind]
    overruled = kind.overruled(subject, operation)
    if following:
        target = REMOVING[operation.kind].during
    elif overruled is not None:
        target = overruled
    else:
        target = lifecycle.next_status(subject.status, flow.event(ending.what), flow.subject)
    told_meanwhile = kind.told_meanwhile if overruled is not None else frozenset()
    actions = made.actions(kind.model, without=told_meanwhile)
    actions += [Subject.status.set(target), Subject.updated.set(aws.clock())]
    actions += _hand_over(following)
    if ending.what is not What.SUCCEEDED and following is None and overruled is None:
        actions += faulty(ending.reason)
    if (holds := made.held_after(subject.held)) != subject.held:
        actions.append(Subject.held.set(holds))
    return actions + kind.settled(target)


def _freed(subject: Subject, made: Outcome) -> dict[str, int]:
    """What of the quota is given back; less than nothing of a volume that others have grown."""
    holds = made.held_after(subject.held)
    freed = {name: int(amount) - holds.get(name, 0) for name, amount in subject.held.items()}
    return {name: amount for name, amount in freed.items() if amount}


def _hand_over(following: str | None) -> list[Action]:
    if following is None:
        return [Subject.operation_id.remove(), Subject.next_operation_id.remove()]
    return [Subject.operation_id.set(following), Subject.next_operation_id.remove()]


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
