"""What a guest can say about its database: the one list for both sides of the bus."""

from __future__ import annotations

from enum import StrEnum


class ServiceStatus(StrEnum):
    """What a guest reports about its database, with Trove's descriptions."""

    NEW = "new"
    BUILDING = "building"
    RUNNING = "running"
    HEALTHY = "healthy"
    BLOCKED = "blocked"
    SHUTDOWN = "shutdown"
    CRASHED = "crashed"
    FAILED = "failed"
    UNKNOWN = "unknown"
    RESTARTING = "restarting"
