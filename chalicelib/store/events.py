"""The event feed: what happened to an instance, and what the bus refused."""

from __future__ import annotations

import logging
from datetime import UTC, datetime
from typing import Final

import msgspec

from chalicelib import aws
from chalicelib.store.models import EventRow, Operation

BUS: Final = "bus"
"""The scopes of messages that could not be trusted: their headers name an instance unproven."""

SHARDS: Final = 16
"""Scopes of one day: a partition takes 1,000 writes a second, and a sender of junk makes more."""

OPERATORS: Final = "operators"
"""The scope of what somebody has to look at."""

log = logging.getLogger(__name__)

KEEP_SECONDS: Final = 90 * 86400
MOST_MESSAGE: Final = 1024


class Asked(msgspec.Struct, frozen=True):
    """Who asked for a change, of which project, and with which request: an event remembers it."""

    user_id: str | None = None
    request_id: str | None = None
    user_tenant_id: str | None = None


def asked_by(operation: Operation) -> Asked:
    """Who asked for an operation."""
    return Asked(operation.user_id, operation.request_id, operation.user_tenant_id)


def new_event(
    scope: str, kind: str, message: str, tenant_id: str | None = None, asked: Asked | None = None
) -> EventRow:
    """An event row of now; its id sorts by time. With a `tenant_id`, its tenant may read it."""
    now = aws.clock()
    return EventRow(
        scope=scope,
        id=f"{int(now * 1000):013d}-{aws.new_id()[:8]}",
        tenant_id=tenant_id,
        kind=kind,
        message=message[:MOST_MESSAGE],
        created=now,
        expires=_expires(now),
        user_id=asked.user_id if asked else None,
        request_id=asked.request_id if asked else None,
        user_tenant_id=asked.user_tenant_id if asked else None,
    )


def record(scope: str, kind: str, message: str, tenant_id: str | None = None) -> None:
    """Write an event by itself."""
    new_event(scope, kind, message, tenant_id).save()


def record_once_a_second(
    scope: str, kind: str, message: str, at: float, tenant_id: str | None = None
) -> None:
    """Write what somebody tells as of a time.

    It is one row, however often the report arrives, and one a second of each kind, for whoever
    tells it may do so without end.
    """
    row = new_event(scope, kind, message, tenant_id)
    row.id = f"{int(at) * 1000:013d}-{kind}"
    row.save()


def count(kind: str, reason: str, times: int, message: str) -> None:
    """Add to the day's count of what was refused for a reason; `message` tells the last of them."""
    now = aws.clock()
    shard = int(aws.random() * SHARDS)
    scope = f"{BUS}/{datetime.fromtimestamp(now, UTC):%Y-%m-%d}/{shard}"
    EventRow(scope, f"{kind}/{reason}").update(
        actions=[
            EventRow.times.add(times),
            EventRow.kind.set(kind),
            EventRow.message.set(message[:MOST_MESSAGE]),
            EventRow.created.set(now),
            EventRow.expires.set(_expires(now)),
        ]
    )


def _expires(now: float) -> datetime:
    return datetime.fromtimestamp(int(now + KEEP_SECONDS), UTC)


def alarm(kind: str, message: str) -> None:
    """Tell the operators: a line of level ERROR with the field `alarm`, for a metric filter to
    count, and an event."""
    log.error(message, extra={"alarm": kind})
    record(OPERATORS, kind, message)


def events_of(scope: str, limit: int = 100, before: str | None = None) -> list[EventRow]:
    """The newest events of a scope, newest first; with `before`, those older than that id."""
    older = EventRow.id < before if before else None
    return list(EventRow.query(scope, older, scan_index_forward=False, limit=limit))
