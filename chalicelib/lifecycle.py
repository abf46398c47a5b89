"""The one table of an instance's life: status, event, next status, and what is allowed when.

API refusals, flows and the simulator read this module; a test compares the docs' table with it.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Final

from chalicelib.errors import Unprocessable
from chalicelib.service_status import ServiceStatus as ServiceStatus


class Status(StrEnum):
    """Trove's statuses that this release reaches, and `DELETED` for rows kept as history."""

    BUILD = "BUILD"
    ACTIVE = "ACTIVE"
    ERROR = "ERROR"
    SHUTDOWN = "SHUTDOWN"
    DELETED = "DELETED"


class Event(StrEnum):
    """What can happen to an instance."""

    CREATE_SUCCEEDED = "create succeeded"
    CREATE_FAILED = "create failed"
    DELETE_ACCEPTED = "delete accepted"
    DELETE_SUCCEEDED = "delete succeeded"
    DELETE_FAILED = "delete failed"
    ACCESS_UPDATED = "access updated"
    ACCESS_UPDATE_FAILED = "access update failed"
    RESET = "status reset by an administrator"


class Action(StrEnum):
    """What a user can ask of an instance."""

    DELETE = "delete"
    RESET_STATUS = "reset_status"
    RESTART = "restart"
    UPDATE_ACCESS = "update_access"
    MANAGE_CONTENTS = "manage databases and users"


TRANSITIONS: Final[dict[tuple[Status, Event], Status]] = {
    (Status.BUILD, Event.CREATE_SUCCEEDED): Status.ACTIVE,
    (Status.BUILD, Event.CREATE_FAILED): Status.ERROR,
    (Status.BUILD, Event.RESET): Status.ERROR,
    (Status.ACTIVE, Event.DELETE_ACCEPTED): Status.SHUTDOWN,
    (Status.ACTIVE, Event.RESET): Status.ACTIVE,
    (Status.ACTIVE, Event.ACCESS_UPDATED): Status.ACTIVE,
    (Status.ACTIVE, Event.ACCESS_UPDATE_FAILED): Status.ACTIVE,
    (Status.ERROR, Event.CREATE_FAILED): Status.ERROR,
    (Status.ERROR, Event.DELETE_ACCEPTED): Status.SHUTDOWN,
    (Status.ERROR, Event.DELETE_SUCCEEDED): Status.DELETED,
    (Status.ERROR, Event.DELETE_FAILED): Status.ERROR,
    (Status.ERROR, Event.RESET): Status.ERROR,
    (Status.SHUTDOWN, Event.CREATE_FAILED): Status.SHUTDOWN,
    (Status.SHUTDOWN, Event.DELETE_ACCEPTED): Status.SHUTDOWN,
    (Status.SHUTDOWN, Event.DELETE_SUCCEEDED): Status.DELETED,
    (Status.SHUTDOWN, Event.DELETE_FAILED): Status.ERROR,
    (Status.SHUTDOWN, Event.RESET): Status.ERROR,
}

ALLOWED: Final[dict[Action, frozenset[Status]]] = {
    Action.DELETE: frozenset({Status.ACTIVE, Status.ERROR, Status.SHUTDOWN}),
    Action.RESET_STATUS: frozenset({Status.BUILD, Status.ACTIVE, Status.ERROR, Status.SHUTDOWN}),
    Action.RESTART: frozenset({Status.ACTIVE}),
    Action.UPDATE_ACCESS: frozenset({Status.ACTIVE}),
    Action.MANAGE_CONTENTS: frozenset({Status.ACTIVE}),
}


class IllegalTransition(Exception):
    """A caller asked for a transition that the table does not hold: a bug, never a user's error."""


def next_status(status: str, event: Event) -> Status:
    """The status after an event; `IllegalTransition` when the table has none."""
    try:
        return TRANSITIONS[Status(status), event]
    except KeyError:
        raise IllegalTransition(f"{status} has no transition for {event.value!r}") from None


def require(action: Action, instance_id: str, status: str) -> None:
    """Refuse an action that the status does not allow, with Trove's 422."""
    if status not in ALLOWED[action]:
        raise Unprocessable(
            f"Instance {instance_id} is not currently available for an action to be performed "
            f"(instance status was {status})."
        )


OPERATING_STATUS: Final[dict[str, str]] = {
    ServiceStatus.NEW: "NEW",
    ServiceStatus.BUILDING: "BUILD",
    ServiceStatus.RUNNING: "ACTIVE",
    ServiceStatus.HEALTHY: "HEALTHY",
    ServiceStatus.BLOCKED: "BLOCKED",
    ServiceStatus.SHUTDOWN: "SHUTDOWN",
    ServiceStatus.CRASHED: "SHUTDOWN",
    ServiceStatus.FAILED: "FAILED",
    ServiceStatus.UNKNOWN: "ERROR",
    ServiceStatus.RESTARTING: "RESTARTING",
}

UNHEARD: Final = "ERROR"
"""The operating status of a guest that has not reported for too long, or says what is not known."""

READY: Final = frozenset({ServiceStatus.HEALTHY, ServiceStatus.BLOCKED})
"""Where a call is worth sending: a blocked one may still let a full volume be emptied, and says
itself when it does not answer. One that is starting (`running` of older agents) is not ready.
"""


def operating_status(status: str, service_status: str, age_seconds: float, expiry: float) -> str:
    """Trove's `operating_status`: empty unless ACTIVE, ERROR when the heartbeat is too old."""
    if status != Status.ACTIVE:
        return ""
    if age_seconds >= expiry:
        return UNHEARD
    return OPERATING_STATUS.get(service_status, UNHEARD)
