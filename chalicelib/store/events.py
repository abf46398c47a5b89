"""The event feed: what happened to an instance, and what the bus refused."""

from __future__ import annotations

import heapq
import logging
import zlib
from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime
from functools import partial
from typing import Final, NamedTuple

import msgspec
from pynamodb.exceptions import PutError

from chalicelib import aws
from chalicelib.store.base import condition_failed
from chalicelib.store.models import EventRow, Operation

BUS: Final = "bus"
"""The scopes of messages that could not be trusted: their headers name an instance unproven."""

SHARDS: Final = 16
"""Scopes of one day: a partition takes 1,000 writes a second, and a sender of junk makes more."""

OPERATORS: Final = "operators"
"""The scope of what somebody has to look at."""

FEED_SHARDS: Final = 8
"""Partitions of the index of one tenant's events. Each takes 1,000 writes a second, and a guest may
tell a dozen a second. More may be added at any time, fewer never."""

READ_AT_ONCE: Final = 100
MOST_READ: Final = 500

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
        feed=_feed_of(tenant_id, scope) if tenant_id is not None else None,
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
    tells it may do so without end. Clause: it is not there (a second delivery, which would drop
    what another release has stored with it).
    """
    row = new_event(scope, kind, message, tenant_id)
    row.id = f"{int(at) * 1000:013d}-{kind}-{zlib.crc32(scope.encode()):08x}"
    try:
        row.save(condition=EventRow.id.does_not_exist())
    except PutError as error:
        if not condition_failed(error):
            raise


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


def alarm(kind: str, message: str, *, every_seconds: int = 0) -> None:
    """Tell the operators: a line of level ERROR with the field `alarm`, for a metric filter to
    count, and an event; of one kind not more than one in `every_seconds`, if that is given."""
    log.error(message, extra={"alarm": kind})
    if every_seconds:
        at = aws.clock() // every_seconds * every_seconds
        record_once_a_second(OPERATORS, kind, message, at)
    else:
        record(OPERATORS, kind, message)


class Wanted(msgspec.Struct, frozen=True):
    """Which events are asked for: a kind, or what its name begins with; from one time to another.

    `since` is in, `until` is not.
    """

    kind: str | None = None
    since: float | None = None
    until: float | None = None

    def fits(self, row: EventRow) -> bool:
        """Whether an event is of the kind asked for."""
        return self.kind is None or row.kind == self.kind or row.kind.startswith(f"{self.kind}.")

    def range(self, before: str | None) -> tuple[str, str]:
        """The ids of those times that are older than one, from and up to: an id begins with its
        milliseconds. Nothing is between them when the first is the greater one."""
        newest = [_first_id(self.until) if self.until is not None else _LAST_ID]
        newest += [before] if before is not None else []
        return _first_id(self.since or 0.0), min(newest)


_LAST_ID: Final = "~"
ALL: Final = Wanted()


class Page(NamedTuple):
    """A page of a feed; `marker` is where the next one begins, None when there is none."""

    rows: list[EventRow]
    marker: str | None


def events_of(scope: str, limit: int = 100, before: str | None = None) -> list[EventRow]:
    """The newest events of a scope, newest first; with `before`, those older than that id."""
    return page_of_scope(scope, limit, before).rows


def page_of_scope(scope: str, limit: int, before: str | None, wanted: Wanted = ALL) -> Page:
    """A page of the events of an instance, newest first, those older than the marker."""

    return _chosen([partial(EventRow.query, scope)], limit, before, wanted)


def page_of_tenant(tenant_id: str, limit: int, before: str | None, wanted: Wanted = ALL) -> Page:
    """The same of all instances of a tenant: the newest of its partitions, put together."""

    feeds = [partial(EventRow.feed_index.query, feed) for feed in _feeds(tenant_id)]
    return _chosen(feeds, limit, before, wanted)


def _chosen(
    queries: Sequence[Callable[..., Iterable[EventRow]]],
    limit: int,
    before: str | None,
    wanted: Wanted,
) -> Page:
    """The first rows that fit, of all partitions together.

    Of at most `MOST_READ` in each: a page may be short and have a next one.
    """
    found: list[EventRow] = []
    at_once = limit + 1 if wanted.kind is None else READ_AT_ONCE
    for _ in range(MOST_READ // at_once + 1):
        rows = _read(queries, at_once, wanted.range(before))
        for place, row in enumerate(rows):
            before = row.id
            if wanted.fits(row):
                found.append(row)
            if len(found) == limit:
                more = place + 1 < len(rows) or len(rows) == at_once
                return Page(found, before if more else None)
        if len(rows) < at_once:
            return Page(found, None)
    return Page(found, before)


def _read(
    queries: Sequence[Callable[..., Iterable[EventRow]]], at_once: int, ids: tuple[str, str]
) -> list[EventRow]:
    """The newest rows of those ids, the second one not among them."""
    oldest, newest = ids
    if oldest >= newest:
        return []
    asked = EventRow.id.between(oldest, newest)
    found = [query(asked, scan_index_forward=False, limit=at_once + 1) for query in queries]
    rows = heapq.merge(*found, key=lambda row: row.id, reverse=True)
    return [row for row in rows if row.id < newest][:at_once]


def _feeds(tenant_id: str) -> list[str]:
    return [f"{tenant_id}/{shard}" for shard in range(FEED_SHARDS)]


def _feed_of(tenant_id: str, scope: str) -> str:
    return _feeds(tenant_id)[zlib.crc32(scope.encode()) % FEED_SHARDS]


def _first_id(at: float) -> str:
    return f"{int(at * 1000):013d}"
