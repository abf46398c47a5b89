"""The event feed: what happened to an instance, and what the bus refused."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Final

from chalicelib import aws
from chalicelib.store.models import EventRow

BUS: Final = "bus"
"""The scope of messages that could not be trusted: their headers name an instance unproven."""

KEEP_SECONDS: Final = 90 * 86400


def new_event(scope: str, kind: str, message: str, tenant_id: str | None = None) -> EventRow:
    """An event row of now; its id sorts by time."""
    now = aws.clock()
    return EventRow(
        scope=scope,
        id=f"{int(now * 1000):013d}-{aws.new_id()[:8]}",
        tenant_id=tenant_id,
        kind=kind,
        message=message[:1024],
        created=now,
        expires=datetime.fromtimestamp(int(now + KEEP_SECONDS), UTC),
    )


def record(scope: str, kind: str, message: str, tenant_id: str | None = None) -> None:
    """Write an event by itself."""
    new_event(scope, kind, message, tenant_id).save()


def events_of(scope: str, limit: int = 100) -> list[EventRow]:
    """The newest events of a scope, newest first."""
    return list(EventRow.query(scope, scan_index_forward=False, limit=limit))
