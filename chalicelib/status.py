"""The statuses of instances, rollouts, configuration groups and backups, as clients see them."""

from __future__ import annotations

from enum import StrEnum
from typing import Final


class Status(StrEnum):
    """Trove's statuses that this release reaches, those of a stop and of a rebuild, which Trove
    does not know, and `DELETED` for rows kept as history."""

    BUILD = "BUILD"
    ACTIVE = "ACTIVE"
    REBOOT = "REBOOT"
    RESIZE = "RESIZE"
    STOPPING = "STOPPING"
    STOPPED = "STOPPED"
    STARTING = "STARTING"
    REBUILD = "REBUILD"
    UPGRADE = "UPGRADE"
    BACKUP = "BACKUP"
    ERROR = "ERROR"
    SHUTDOWN = "SHUTDOWN"
    DELETED = "DELETED"


RESTART_REQUIRED: Final = "RESTART_REQUIRED"
"""What clients see for `ACTIVE` where values of a configuration group wait for a restart, as in
Trove. No status of a row: all that an ACTIVE instance may be asked for goes on."""


class RolloutStatus(StrEnum):
    """STOPPED: too many rebuilds failed, it was cancelled or late, and nothing of it runs any more;
    FAILED: something of it may still run."""

    RUNNING = "RUNNING"
    COMPLETED = "COMPLETED"
    STOPPED = "STOPPED"
    FAILED = "FAILED"


class BackupStatus(StrEnum):
    """Trove's, where it has one. NEW: accepted; BUILDING: its guest is at it; DELETING: its objects
    are being removed."""

    NEW = "NEW"
    BUILDING = "BUILDING"
    COMPLETED = "COMPLETED"
    FAILED = "FAILED"
    DELETING = "DELETING"
    DELETE_FAILED = "DELETE_FAILED"
    DELETED = "DELETED"


class ConfigurationStatus(StrEnum):
    """Of a configuration group: APPLYING, its values are on their way to its instances."""

    ACTIVE = "ACTIVE"
    APPLYING = "APPLYING"
    DELETED = "DELETED"
