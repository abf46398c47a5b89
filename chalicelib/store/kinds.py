"""What is one kind of subject's alone when an operation on it is accepted or ends.

`accepting` and `ending` ask here and name no kind. A new kind of subject is a class below, which
overrides what it needs (`docs/adding-a-resource.md`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from enum import StrEnum
from typing import Any, ClassVar, Final, Generic, TypeVar

import msgspec
from pynamodb.expressions.update import Action
from pynamodb.transactions import TransactWrite

from chalicelib import aws
from chalicelib.domain.flows import What
from chalicelib.domain.operations import OperationAction, SubjectKind
from chalicelib.errors import Conflict
from chalicelib.lifecycle import ServiceStatus, Status
from chalicelib.status import BackupStatus
from chalicelib.store import attachments, backups, ending_backups
from chalicelib.store.instances import buried
from chalicelib.store.models import (
    Backup,
    Configuration,
    Instance,
    Job,
    Operation,
    Rollout,
    ServiceStatusRow,
    Subject,
)
from chalicelib.store.subjects import history_ends

S = TypeVar("S", bound=Subject)

NEWEST_ROLLOUT: Final = "newest-rollout"

Items = Callable[[TransactWrite], None]
"""A part of a transaction."""

_WHOLE: Final = frozenset(
    {
        *(OperationAction.CREATE, OperationAction.RESTORE, OperationAction.RESTORE_SNAPSHOT),
        OperationAction.DELETE,
    }
)
"""What makes all of an instance, or takes all of it away."""
_READING: Final = frozenset(
    {
        *(OperationAction.RESTORE, OperationAction.RESTORE_SNAPSHOT),
        OperationAction.VERIFY_BACKUP,
    }
)
"""Those that read a backup, which is not deleted meanwhile."""


class Ended(msgspec.Struct, frozen=True):
    """How an operation has ended, as other rows are told: the subject is `gone`, its guest has
    `reported`."""

    what: What
    reason: str = ""
    gone: bool = False
    reported: ServiceStatus | None = None


class Kind(Generic[S]):
    """A kind of which nothing is special."""

    decided_by: ClassVar[tuple[str, ...]] = ()
    """The attributes by which an end is decided beside status and operations."""
    told_meanwhile: ClassVar[frozenset[str]] = frozenset()
    """The attributes that an end leaves as they are when something else `overruled` it."""

    def __init__(self, model: type[S]) -> None:
        self.model = model

    def find(self, subject_id: str) -> S | None:
        """The row, read consistently, or None."""
        try:
            return self.model.get(subject_id, consistent_read=True)
        except self.model.DoesNotExist:
            return None

    def generation(self, _: S) -> int:
        """The generation of the guest that an operation begins with, if it has one."""
        return 1

    def beside_new(self, _: S) -> Items:
        """What else is made in the transaction that makes a subject.

        Raises what speaks against another one as things are: it is asked before each attempt.
        """
        return lambda _: None

    def beside_accepted(self, _: Operation) -> Items:
        """What else is written where an operation is accepted; asked, and may refuse, in the same
        way."""
        return lambda _: None

    def overruled(self, _: S, __: Operation) -> StrEnum | None:
        """The status, when what happened meanwhile has decided it, whatever the operation did."""
        return None

    def settled(self, _: StrEnum) -> list[Action]:
        """What a status in which an operation ends makes of the row beside."""
        return []

    def leaving(self, _: S) -> Items:
        """What a subject that is gone no longer has a part in."""
        return lambda _: None

    def beside(self, _: Operation, __: Ended) -> Items:
        """What an end does to other rows."""
        return lambda _: None


class Instances(Kind[Instance]):
    """A guest, what it reports, and an expulsion that may come at any time."""

    decided_by = ("generation",)
    told_meanwhile = frozenset({"generation", "fault_message", "fault_created"})

    def generation(self, subject: Instance) -> int:
        return int(subject.generation)

    def overruled(self, subject: Instance, operation: Operation) -> StrEnum | None:
        """Its guest was expelled: it needs a rebuild, whatever came of the operation.

        A create has taken its instance back then, and a delete takes all of it away.
        """
        if operation.action in _WHOLE:
            return None
        return Status.ERROR if subject.generation > operation.generation else None

    def settled(self, status: StrEnum) -> list[Action]:
        return buried() if status is Status.DELETED else []

    def beside_new(self, subject: Instance) -> Items:
        service = ServiceStatusRow(
            instance_id=subject.id,
            generation=subject.generation,
            status=ServiceStatus.NEW,
            updated=subject.created,
        )
        if subject.configuration_id is None:
            return lambda write: write.save(service)
        attachments.require(subject.configuration_id)
        attach = attachments.attaching(subject.configuration_id, subject.id)

        def build(write: TransactWrite) -> None:
            write.save(service)
            attach(write)

        return build

    def beside_accepted(self, operation: Operation) -> Items:
        if operation.action not in _READING:
            return lambda _: None
        return backups.reading((operation.arguments or {})["backup"], operation.id)

    def leaving(self, subject: Instance) -> Items:
        if subject.configuration_id is None:
            return lambda _: None
        return attachments.detaching(subject.configuration_id, subject.id)

    def beside(self, operation: Operation, ended: Ended) -> Items:
        row, now = ServiceStatusRow(operation.subject_id), aws.clock()
        gone, reported = ended.gone, ended.reported
        backup = ending_backups.ending(operation, ended.what, ended.reason)

        def build(write: TransactWrite) -> None:
            backup(write)
            if gone:
                write.delete(row)
            elif reported is not None:
                actions: list[Action] = [
                    ServiceStatusRow.status.set(reported),
                    ServiceStatusRow.updated.set(now),
                ]
                clause = ServiceStatusRow.status == ServiceStatus.NEW  # no heartbeat was faster
                write.update(row, actions=actions, condition=clause)

        return build


class Configurations(Kind[Configuration]):
    """A change of its values may come while they are being applied, until that is `applied`."""

    decided_by = ("revision", "applied")


class Backups(Kind[Backup]):
    """One that is gone no longer counts as a child of the one that it was built on."""

    decided_by = ("children",)

    def settled(self, status: StrEnum) -> list[Action]:
        return ending_backups.buried() if status is BackupStatus.DELETED else []

    def leaving(self, subject: Backup) -> Items:
        # One that failed was taken off its parent's count by the end of what made it.
        return ending_backups.leaving(subject) if subject.checksum is not None else lambda _: None


class Rollouts(Kind[Rollout]):
    """One at a time: a row of the jobs names the newest, whose operation tells whether it lives.

    The end of a rollout does nothing for it, so that none can forget to.
    """

    def beside_new(self, subject: Rollout) -> Items:
        job = Job(NEWEST_ROLLOUT, state={"operation_id": subject.operation_id}, updated=aws.clock())
        try:
            newest = Job.get(NEWEST_ROLLOUT, consistent_read=True)
        except Job.DoesNotExist:
            return lambda write: write.save(job, condition=Job.id.does_not_exist())
        live = _operation(newest.state["operation_id"])
        if live is not None and live.live is not None:
            raise Conflict(
                f"Rollout {live.subject_id} is under way, and one runs at a time: wait for its "
                "end, or stop it (DELETE)."
            )
        return lambda write: write.save(job, condition=Job.state == newest.state)

    def settled(self, _: StrEnum) -> list[Action]:
        return [Rollout.expires.set(history_ends(aws.clock()))]


def _operation(operation_id: str) -> Operation | None:
    try:
        return Operation.get(operation_id, consistent_read=True)
    except Operation.DoesNotExist:
        return None


KINDS: Final[Mapping[SubjectKind, Kind[Any]]] = {
    SubjectKind.INSTANCE: Instances(Instance),
    SubjectKind.ROLLOUT: Rollouts(Rollout),
    SubjectKind.CONFIGURATION: Configurations(Configuration),
    SubjectKind.BACKUP: Backups(Backup),
}
