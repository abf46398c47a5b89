"""What an operation is: its actions, its statuses, its steps and its bounds."""

from __future__ import annotations

import zlib
from enum import StrEnum
from typing import Final


class SubjectKind(StrEnum):
    """What an operation is done to: its subject is (kind, id), and the kind is its flow's."""

    INSTANCE = "instance"
    ROLLOUT = "rollout"
    CONFIGURATION = "configuration"
    BACKUP = "backup"


class OperationAction(StrEnum):
    """The flows; each has a state machine of the same name."""

    CREATE = "create_instance"
    DELETE = "delete_instance"
    UPDATE_ACCESS = "update_access"
    RESTART = "restart_instance"
    RESIZE_VOLUME = "resize_volume"
    RESIZE_FLAVOR = "resize_flavor"
    STOP = "stop_instance"
    START = "start_instance"
    REBOOT = "reboot_instance"
    REBUILD = "rebuild_instance"
    REBUILD_STOPPED = "rebuild_stopped_instance"
    ROLL_OUT = "roll_out"
    MIGRATE = "migrate_instance"
    UPGRADE = "upgrade_instance"
    UPGRADE_AGENT = "upgrade_agent"
    CONFIGURE = "configure_instance"
    APPLY = "apply_configuration"
    CREATE_BACKUP = "create_backup"
    DELETE_BACKUP = "delete_backup"
    RESTORE = "restore_instance"
    VERIFY_BACKUP = "verify_backup"
    CREATE_SNAPSHOT = "create_snapshot"
    RESTORE_SNAPSHOT = "restore_snapshot"


class OperationStatus(StrEnum):
    """QUEUED waits for the live operation to end; the last three are terminal."""

    QUEUED = "QUEUED"
    ACCEPTED = "ACCEPTED"
    RUNNING = "RUNNING"
    SUCCEEDED = "SUCCEEDED"
    FAILED = "FAILED"
    CANCELLED = "CANCELLED"


STARTABLE: Final = (OperationStatus.ACCEPTED, OperationStatus.RUNNING)
TERMINAL: Final = (OperationStatus.SUCCEEDED, OperationStatus.FAILED, OperationStatus.CANCELLED)


LIVE_SHARDS: Final = 8
"""Partitions of the sweeper's index. One takes 1,000 write units a second and a create needs eight;
a sweep asks each of them once at least. More may be added at any time, fewer never."""


def together(*said: str | None) -> str:
    """The reasons of one operation as sentences, in that order; what another one says is left out.

    A user is told all of them: that it was called back, what had failed, and what ended it.
    """
    kept: list[str] = []
    for each in filter(None, said):
        if not any(_says(other, each) for other in kept):
            kept = [other for other in kept if not _says(each, other)]
            kept.append(each)
    *before, last = kept or [""]
    return " ".join([*(f"{each.rstrip('.')}." for each in before), last])


def _says(told: str, sentence: str) -> bool:
    """Whether those sentences are among the told ones."""
    return f". {sentence.rstrip('.')}." in f". {told.rstrip('.')}."


def command_id(operation_id: str, step: str) -> str:
    """The id of the command that a step sends: the same for each run of the step."""
    return f"{operation_id}.{step}"


def step_of(command: str) -> str:
    """The step that sent the command of that id."""
    return command.rpartition(".")[2]


def live_shard(operation_id: str) -> str:
    """The partition of the sweeper's index that an operation is in while it is live."""
    return f"live-{zlib.crc32(operation_id.encode()) % LIVE_SHARDS}"


def execution_name(operation_id: str, attempt: int) -> str:
    """The name of an execution; StartExecution refuses a second one of the same name."""
    return operation_id if attempt == 0 else f"{operation_id}.{attempt}"
