"""The statuses of instances and of rollouts, as clients see them."""

from __future__ import annotations

from enum import StrEnum


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
    ERROR = "ERROR"
    SHUTDOWN = "SHUTDOWN"
    DELETED = "DELETED"


class RolloutStatus(StrEnum):
    """STOPPED: too many rebuilds failed, it was cancelled or late, and nothing of it runs any more;
    FAILED: something of it may still run."""

    RUNNING = "RUNNING"
    COMPLETED = "COMPLETED"
    STOPPED = "STOPPED"
    FAILED = "FAILED"
