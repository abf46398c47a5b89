"""The statuses of an instance, as clients see them."""

from __future__ import annotations

from enum import StrEnum


class Status(StrEnum):
    """Trove's statuses that this release reaches, and `DELETED` for rows kept as history."""

    BUILD = "BUILD"
    ACTIVE = "ACTIVE"
    REBOOT = "REBOOT"
    RESIZE = "RESIZE"
    ERROR = "ERROR"
    SHUTDOWN = "SHUTDOWN"
    DELETED = "DELETED"
