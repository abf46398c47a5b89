"""The life of a subject, a table for each kind: status, event, next status, what is allowed when.

Derived from what the flows declare (`chalicelib.domain.flows`), and for instances the two things
that an administrator does beside them: the reset and the expulsion. API refusals, flows and the
simulator read this module; a test compares the docs' table with it.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from enum import StrEnum
from typing import Final

from chalicelib.domain.flows import CREATE_BACKUP, FLOWS_OF, Flow, What
from chalicelib.domain.operations import SubjectKind
from chalicelib.errors import Unprocessable
from chalicelib.service_status import ServiceStatus as ServiceStatus
from chalicelib.status import BackupStatus
from chalicelib.status import Status as Status

RESET: Final = "status reset by an administrator"
EXPELLED: Final = "guest expelled by an administrator"
BEGUN: Final = "backup begun by its guest"
UNFINISHED: Final = frozenset({BackupStatus.NEW, BackupStatus.BUILDING})
"""Of a backup that is being made."""

_AT_REST: Final = frozenset({Status.ACTIVE, Status.STOPPED})
_AFTER_RESET: Final[dict[StrEnum, StrEnum]] = {
    status: status if status in _AT_REST else Status.ERROR
    for status in Status
    if status is not Status.DELETED
}
_AFTER_EXPULSION: Final[dict[StrEnum, StrEnum]] = {
    status: Status.SHUTDOWN if status is Status.SHUTDOWN else Status.ERROR
    for status in _AFTER_RESET
}


Table = dict[tuple[str, str], StrEnum]


def _rows(flow: Flow, after_reset: Mapping[StrEnum, StrEnum]) -> Iterator[tuple[str, str, StrEnum]]:
    """A flow's part of the table of its kind: status, event, next status.

    A reset takes the instance away from under its operation. That operation goes back then, unless
    it is one that cannot, and still ends.
    """
    for source in sorted(flow.sources):
        yield source, flow.event(What.ACCEPTED), flow.during
    ends = {What.SUCCEEDED: flow.done, What.FAILED: flow.failed}
    if flow.undo:
        ends[What.UNDONE] = flow.undone
    for what, target in ends.items():
        yield flow.during, flow.event(what), target
        reset = what is not What.SUCCEEDED or not flow.revocable
        if reset and flow.during in after_reset:
            yield after_reset[flow.during], flow.event(what), target


def _table(kind: SubjectKind, after_reset: Mapping[StrEnum, StrEnum]) -> Table:
    rows = (row for flow in FLOWS_OF[kind] for row in _rows(flow, after_reset))
    return {(status, event): target for status, event, target in rows}


def _of_backups() -> Table:
    """A backup is made by an operation of its instance, of which its row gets the end."""
    table = _table(SubjectKind.BACKUP, {})
    table[BackupStatus.NEW, BEGUN] = BackupStatus.BUILDING
    for status in UNFINISHED:
        for what in (What.SUCCEEDED, What.UNDONE, What.FAILED):
            done = what is What.SUCCEEDED
            end = BackupStatus.COMPLETED if done else BackupStatus.FAILED
            table[status, CREATE_BACKUP.event(what)] = end
    return table


TRANSITIONS: Final[Table] = {
    **_table(SubjectKind.INSTANCE, _AFTER_RESET),
    **{(status, RESET): target for status, target in _AFTER_RESET.items()},
    **{(status, EXPELLED): target for status, target in _AFTER_EXPULSION.items()},
}
"""Of instances."""
TABLES: Final[dict[SubjectKind, Table]] = {
    **{kind: _table(kind, {}) for kind in SubjectKind},
    SubjectKind.INSTANCE: TRANSITIONS,
    SubjectKind.BACKUP: _of_backups(),
}

EVENTS: Final = (
    *(
        flow.event(what)
        for flow in FLOWS_OF[SubjectKind.INSTANCE]
        for what in What
        if flow.knows(what)
    ),
    RESET,
    EXPELLED,
)
"""What can happen to an instance, in the order of the docs."""

RESETTABLE: Final = frozenset(_AFTER_RESET)
EXPELLABLE: Final = frozenset(_AFTER_EXPULSION)
SERVING: Final = frozenset({Status.ACTIVE})
"""Where databases and users are managed."""


class IllegalTransition(Exception):
    """A caller asked for a transition that the table does not hold: a bug, never a user's error."""


def next_status(status: str, event: str, kind: SubjectKind = SubjectKind.INSTANCE) -> StrEnum:
    """The status after an event; `IllegalTransition` when the kind's table has none."""
    try:
        return TABLES[kind][status, event]
    except KeyError:
        raise IllegalTransition(f"{status} has no transition for {event!r}") from None


def require(allowed: Collection[str], instance_id: str, status: str) -> None:
    """Refuse what the status does not allow, with Trove's 422."""
    if status not in allowed:
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
