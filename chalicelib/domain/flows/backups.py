"""How a backup is made, how it goes, and how an instance begins from one."""

from __future__ import annotations

from typing import Final

import msgspec

from chalicelib.domain.flows.form import Flow, Runs, Step, Waits
from chalicelib.domain.flows.lifetime import CREATE, PREPARE
from chalicelib.domain.operations import OperationAction, SubjectKind
from chalicelib.status import BackupStatus, Status

CREATE_BACKUP: Final = Flow(
    action=OperationAction.CREATE_BACKUP,
    title="backup",
    comment="Has the guest copy its data, or what has changed of them, to the object store below a "
    "database that goes on, and compares what lies there with what it says. One that fails "
    "leaves nothing in the store.",
    steps=(
        Step(
            "copy",
            Runs.LOCAL,
            Waits.GUEST,
            asks="create_backup",
            late="The guest agent did not finish the backup in time",
            failed="The guest agent failed to make the backup",
        ),
        Step("check", Runs.LOCAL),
    ),
    undo=(Step("discard", Runs.LOCAL, timeout="delete_timeout_seconds"),),
    sources=frozenset({Status.ACTIVE}),
    during=Status.BACKUP,
    done=Status.ACTIVE,
    failed=Status.ACTIVE,
    timeout="backup_timeout_seconds",
    told_undone="The backup was given up: {reason}",
    told_failed="The backup failed, and objects of it may be left until the maintenance finds "
    "them: {reason}",
)

CREATE_SNAPSHOT: Final = Flow(
    action=OperationAction.CREATE_SNAPSHOT,
    title="snapshot",
    comment="Has Cinder make a snapshot of the volume below a database that goes on, and sees it "
    "available. One that fails leaves none.",
    steps=(Step("snapshot"),),
    undo=(Step("discard_snapshot", timeout="delete_timeout_seconds"),),
    sources=frozenset({Status.ACTIVE}),
    during=Status.BACKUP,
    done=Status.ACTIVE,
    failed=Status.ACTIVE,
    timeout="create_timeout_seconds",
    told_undone="The snapshot was given up: {reason}",
    told_failed="The snapshot failed, and may be left in the cloud until its backup is deleted: "
    "{reason}",
)

VERIFY_BACKUP: Final = Flow(
    action=OperationAction.VERIFY_BACKUP,
    title="verification",
    comment="Has the guest of its instance try out a backup beside a database that goes on: the "
    "chain is restored, an engine is started on it, and all of it is read. What is found wrong is "
    "the verdict on the backup; what keeps it from being tried fails the operation.",
    steps=(
        Step("look", Runs.LOCAL),
        Step(
            "try",
            Runs.LOCAL,
            Waits.GUEST,
            asks="verify_backup",
            late="The guest agent did not try out the backup in time",
            failed="The guest agent could not try out the backup",
        ),
        Step("judge", Runs.LOCAL),
    ),
    undo=(Step("stop", Runs.LOCAL, timeout="delete_timeout_seconds"),),
    sources=frozenset({Status.ACTIVE}),
    during=Status.ACTIVE,
    done=Status.ACTIVE,
    failed=Status.ACTIVE,
    timeout="restore_timeout_seconds",
    told_undone="The backup was not verified: {reason}",
    told_failed="The backup was not verified: {reason}",
)

DELETE_BACKUP: Final = Flow(
    action=OperationAction.DELETE_BACKUP,
    subject=SubjectKind.BACKUP,
    title="backup deletion",
    comment="Takes a backup out of the object store, and before it those that build on it, if that "
    "was asked for; after it the log that no backup needs any more. Of one that is a snapshot that "
    "goes, and with the last one the volume of an instance that is gone. As long as something goes "
    "it goes on, and an object store that is away is waited for; what cannot be removed is tried "
    "again by the next delete.",
    steps=(
        Step("others", Runs.LOCAL, timeout="removal_timeout_seconds"),
        Step("remove", Runs.LOCAL, timeout="removal_timeout_seconds"),
        Step("remove_snapshot", timeout="delete_timeout_seconds"),
        Step("trim", Runs.LOCAL, timeout="removal_timeout_seconds"),
    ),
    sources=frozenset({BackupStatus.COMPLETED, BackupStatus.FAILED, BackupStatus.DELETE_FAILED}),
    during=BackupStatus.DELETING,
    done=BackupStatus.DELETED,
    undone=BackupStatus.DELETE_FAILED,
    failed=BackupStatus.DELETE_FAILED,
    timeout="removal_timeout_seconds",
    revocable=False,
    queues=True,
    told_failed="{reason} Delete the backup again.",
)


def _guest(name: str, asks: str, late: str, failed: str, timeout: str = "") -> Step:
    return Step(
        name,
        Runs.LOCAL,
        Waits.GUEST,
        timeout=timeout,
        asks=asks,
        admits=True,
        late=late,
        failed=failed,
    )


def _restore(action: OperationAction, title: str, comment: str, *begins: Step) -> Flow:
    """A create whose guest begins with data that are there, by the steps before it prepares."""
    return Flow(
        action=action,
        title=title,
        comment=comment,
        steps=(
            *(step for step in CREATE.steps if step is not PREPARE),
            *begins,
            msgspec.structs.replace(PREPARE, timeout=CREATE.timeout),
        ),
        undo=CREATE.undo,
        during=CREATE.during,
        done=CREATE.done,
        undone=CREATE.undone,
        timeout="restore_timeout_seconds",
        told_failed=CREATE.told_failed,
        reported=CREATE.reported,
    )


RESTORE: Final = _restore(
    OperationAction.RESTORE,
    "restore",
    "Makes an instance with the data of a backup: a create whose guest fetches the backup "
    "and those that it builds on, and makes them its data, before its database starts.",
    _guest(
        "fetch",
        "fetch_backup",
        "The guest agent did not fetch the backup in time",
        "The guest agent failed to fetch the backup",
    ),
    _guest(
        "apply",
        "apply_backup",
        "The guest agent did not make the backup its data in time",
        "The guest agent failed to make the backup its data",
    ),
)

RESTORE_SNAPSHOT: Final = _restore(
    OperationAction.RESTORE_SNAPSHOT,
    "restore of a snapshot",
    "Makes an instance on a volume that Cinder makes of a snapshot: a create whose guest "
    "goes on with the data that it finds, as after a power cut, and makes what else was asked for.",
    _guest(
        "adopt",
        "rebuild",
        "The guest agent did not start the database on the snapshot's data in time",
        "The guest agent failed to start the database on the snapshot's data",
        timeout="rebuild_timeout_seconds",
    ),
    _guest(
        "grow",
        "resize_fs",
        "The file system did not grow in time",
        "The file system did not grow",
        timeout="resize_timeout_seconds",
    ),
)
