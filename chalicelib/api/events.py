"""GET instances/{id}/events: what happened to an instance, and who asked for it.

Trove has nothing like it; the names here are this project's own. What the operators have to know,
and the tenant has no use for, is shown to administrators only; so is which of them asked.
"""

from __future__ import annotations

from typing import Any, Final

from chalicelib.api.frame import Request, Response, Route
from chalicelib.api.guest_calls import remembered
from chalicelib.api.instances import PATH
from chalicelib.api.paging import limit_of, marker_of
from chalicelib.api.times import exact
from chalicelib.store.events import events_of
from chalicelib.store.models import EventRow


def index(request: Request) -> Response:
    """The events of an instance, newest first, a page of them; the marker is the last one's id."""
    limit = limit_of(request.query)
    rows = events_of(remembered(request).id, limit + 1, marker_of(request.query))
    page, more = rows[:limit], len(rows) > limit
    seen = [row for row in page if request.context.is_admin or row.tenant_id is not None]
    body: dict[str, Any] = {"events": [_view(request, row) for row in seen]}
    if more:
        body["links"] = request.place.next_page(page[-1].id)
    return Response(200, body)


def _view(request: Request, row: EventRow) -> dict[str, Any]:
    # A row of a former release does not say of which project its user is.
    own = row.user_tenant_id is not None and row.user_tenant_id == row.tenant_id
    return {
        "id": row.id,
        "kind": row.kind,
        "message": row.message,
        "created": exact(row.created),
        "user_id": row.user_id if own or request.context.is_admin else None,
        "request_id": row.request_id,
    }


ROUTES: Final = (Route("GET", f"{PATH}/{{instance}}/events", index, "instance:show"),)
