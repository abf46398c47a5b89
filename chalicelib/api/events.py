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
from typing import Any, Final

from chalicelib.api.frame import MAX_ID_LENGTH, Request, Response, Route
from chalicelib.api.guest_calls import remembered
from chalicelib.api.instances import PATH
from chalicelib.api.paging import limit_of, marker_of
from chalicelib.api.times import exact
from chalicelib.errors import BadRequest
from chalicelib.settings import API_VERSION
from chalicelib.store import events
from chalicelib.store.events import Page, Wanted
from chalicelib.store.instances import get_instance
from chalicelib.store.models import EventRow


def of_instance(request: Request) -> Response:
    """The events of an instance, newest first, a page of them; the marker is the last one's id."""
    return _page_of(request, remembered(request).id)


def of_project(request: Request) -> Response:
    """The same of all instances, or of one; a page may be short and still have a next one."""
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
    body: dict[str, Any] = {"events": [_view(request, row) for row in seen]}
    if page.marker is not None:
        body["links"] = request.place.next_page(page.marker)
    return Response(200, body)


def _wanted(query: Mapping[str, str]) -> Wanted:
    kind = query.get("kind") or None
    if kind is not None and len(kind) > MAX_ID_LENGTH:
        raise BadRequest("The kind is too long.")
    return Wanted(kind, _time(query, "since"), _time(query, "until"))


def _time(query: Mapping[str, str], name: str) -> float | None:
    """A time in seconds since the epoch; without a zone it is UTC, as Trove's are."""
    text = query.get(name)
    if not text:
        return None
    try:
        moment = datetime.fromisoformat(text[:MAX_ID_LENGTH])
        seconds = (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
    except (ValueError, OverflowError):
        raise BadRequest(f"'{name}' must be a time like 2026-01-31T12:00:00Z.") from None
    return max(0.0, seconds)


def _view(request: Request, row: EventRow) -> dict[str, Any]:
    # A row of a former release does not say of which project its user is.
    own = row.user_tenant_id is not None and row.user_tenant_id == row.tenant_id
    return {
        "id": row.id,
        "instance_id": row.scope,
        "kind": row.kind,
        "message": row.message,
        "created": exact(row.created),
        "user_id": row.user_id if own or request.context.is_admin else None,
        "request_id": row.request_id,
    }


ROUTES: Final = (
    Route("GET", f"{PATH}/{{instance}}/events", of_instance, "instance:show"),
    Route("GET", f"/{API_VERSION}/{{project}}/events", of_project, "instance:index"),
)
