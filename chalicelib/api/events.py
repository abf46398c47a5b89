"""The events of an instance, or of all of a project: what happened, and who asked for it.

    GET instances/{id}/events     what the operators have to know, and the tenant has no use for, is
                                  shown to administrators only; so is which of them asked
    GET events                    of all instances of the project, also of those that are gone

    ?instance=…&kind=…&since=…&until=…     a kind is whole (`guest.crashed`) or its begin (`guest`)

Trove has nothing like it; the names here are this project's own.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Annotated, Final

import msgspec

from chalicelib.api.frame import Request, Response, Route
from chalicelib.api.guest_calls import remembered
from chalicelib.api.instances import PATH
from chalicelib.api.links import Next
from chalicelib.api.paging import Paged, limit_of, marker_of
from chalicelib.api.response import View
from chalicelib.api.schema import MAX_ID_LENGTH
from chalicelib.api.times import Exact, exact
from chalicelib.errors import BadRequest, NotFound
from chalicelib.settings import API_VERSION
from chalicelib.store import events
from chalicelib.store.events import Page, Wanted
from chalicelib.store.instances import get_instance
from chalicelib.store.models import EventRow

Moment = Annotated[
    str,
    msgspec.Meta(examples=["2026-01-31T12:00:00Z"], description="ISO 8601; in UTC without a zone."),
]
Kind = Annotated[
    str,
    msgspec.Meta(max_length=MAX_ID_LENGTH, description="Whole (`guest.crashed`) or its begin."),
]


class EventsQuery(Paged, frozen=True):
    """Which events, and which page of them."""

    kind: Kind | None = None
    since: Moment | None = None
    until: Moment | None = None


class ProjectEventsQuery(EventsQuery, frozen=True):
    """The same, and of which instance."""

    instance: str | None = None


class EventView(View, frozen=True):
    """What happened to an instance, and which user asked for it, if it is one of the tenant's."""

    id: str
    instance_id: str
    kind: str
    message: str
    created: Exact
    user_id: str | None
    request_id: str | None


class EventList(View, frozen=True):
    """A page of events, newest first."""

    events: list[EventView]
    links: Next = msgspec.UNSET


def of_instance(request: Request) -> Response:
    """The events of an instance, newest first, a page of them; the marker is the last one's id."""
    return _page_of(request, remembered(request).id)


def of_project(request: Request) -> Response:
    """The events of all instances, or of one; a page may be short and still have a next one."""
    instance_id = request.query.get("instance")
    if instance_id:
        context = request.context
        row = get_instance(instance_id[:MAX_ID_LENGTH], context.project_id, gone=True)
        return _page_of(request, row.id)
    query = request.query
    found = events.page_of_tenant(
        request.context.project_id, limit_of(query), marker_of(query), _wanted(query)
    )
    return _shown(request, found)


def _page_of(request: Request, instance_id: str) -> Response:
    query = request.query
    limit, marker = limit_of(query), marker_of(query)
    return _shown(request, events.page_of_scope(instance_id, limit, marker, _wanted(query)))


def _shown(request: Request, page: Page) -> Response:
    seen = [row for row in page.rows if request.context.is_admin or row.tenant_id is not None]
    views = [_view(request, row) for row in seen]
    return Response(200, EventList(views, request.place.next_page(page.marker)))


def _wanted(query: Mapping[str, str]) -> Wanted:
    kind = query.get("kind")
    if kind is not None and len(kind) > MAX_ID_LENGTH:
        raise BadRequest("The kind is too long.")
    return Wanted(kind, _time(query, "since"), _time(query, "until"))


def _time(query: Mapping[str, str], name: str) -> float | None:
    """A time in seconds since the epoch; without a zone it is UTC, as Trove's are."""
    text = query.get(name)
    if text is None:
        return None
    try:
        moment = datetime.fromisoformat(text[:MAX_ID_LENGTH])
        seconds = (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
    except (ValueError, OverflowError):
        raise BadRequest(f"'{name}' must be a time like 2026-01-31T12:00:00Z.") from None
    return max(0.0, seconds)


def _view(request: Request, row: EventRow) -> EventView:
    # A row of a former release does not say of which project its user is.
    own = row.user_tenant_id is not None and row.user_tenant_id == row.tenant_id
    return EventView(
        id=row.id,
        instance_id=row.scope,
        kind=row.kind,
        message=row.message,
        created=exact(row.created),
        user_id=row.user_id if own or request.context.is_admin else None,
        request_id=row.request_id,
    )


ROUTES: Final = (
    Route(
        "GET",
        f"{PATH}/{{instance}}/events",
        of_instance,
        "instance:show",
        query=EventsQuery,
        answers=EventList,
    ),
    Route(
        "GET",
        f"/{API_VERSION}/{{project}}/events",
        of_project,
        "instance:index",
        query=ProjectEventsQuery,
        answers=EventList,
        refuses=(NotFound,),
    ),
)
