"""The administrators' view of the instances of all projects: list, show, who enabled root.

Source: Trove 26's `mgmt` routes. As elsewhere nothing here calls the cloud or a guest.
"""

from __future__ import annotations

from typing import Any, Final

from chalicelib.api import instance_view
from chalicelib.api.frame import Request, Response, Route
from chalicelib.api.listing import filter_of, order_of
from chalicelib.api.paging import limit_of, marker_of
from chalicelib.api.times import naive
from chalicelib.auth import policy
from chalicelib.errors import BadRequest, NotFound
from chalicelib.lifecycle import Status
from chalicelib.settings import API_VERSION
from chalicelib.store import instances as store
from chalicelib.store import lists
from chalicelib.store.models import Instance, ServiceStatusRow

PATH: Final = f"/{API_VERSION}/{{project}}/mgmt/instances"
NEVER: Final = {"enabled": "Never", "user": "Nobody"}


def index(request: Request) -> Response:
    """GET mgmt/instances: of one project with `project_id`, those that are gone with `deleted`.

    A page may be shorter than its limit, or empty, and still have a next one: it ends where the
    read of the table has become long.
    """
    policy.require_admin(request.context)
    query, tenant_id, deleted = request.query, request.query.get("project_id"), _deleted(request)
    limit, marker = limit_of(query), marker_of(query)
    wanted, order = filter_of(query), order_of(query)
    if tenant_id is not None and not deleted:
        rows, following = lists.of_tenant(tenant_id, limit, marker, wanted, order)
    elif order is not None:
        raise BadRequest("Only the instances of one project ('project_id') can be sorted.")
    else:
        rows, following = lists.of_everybody(limit, marker, wanted, tenant_id, deleted=deleted)
    reported = store.service_statuses(row.id for row in rows) if rows else {}
    body: dict[str, Any] = {
        "instances": [_view(request, row, reported.get(row.id)) for row in rows]
    }
    if following is not None:
        body["links"] = request.place.next_page(following)
    return Response(200, body)


def show(request: Request) -> Response:
    """GET mgmt/instances/{id}; with `deleted` one that is gone, as long as its row is kept."""
    row = _instance(request)
    return Response(200, {"instance": _view(request, row, store.service_status(row.id))})


def root_history(request: Request) -> Response:
    """GET mgmt/instances/{id}/root: who enabled root last, and when."""
    row = _instance(request)
    told = NEVER
    if row.root_enabled_at is not None:
        told = {"enabled": naive(row.root_enabled_at), "user": row.root_enabled_by or ""}
    return Response(200, {"root_history": {"id": row.id, **told}})


def _instance(request: Request) -> Instance:
    policy.require_admin(request.context)
    row = store.find_instance(request.id_of("instance"))
    if row is None or (row.status == Status.DELETED) != _deleted(request):
        raise NotFound(f"Instance {request.id_of('instance')} cannot be found.")
    return row


def _deleted(request: Request) -> bool:
    return request.query.get("deleted", "").lower() == "true"


def _view(request: Request, row: Instance, reported: ServiceStatusRow | None) -> dict[str, Any]:
    view = instance_view.detail(request, row, reported)
    view |= {
        "deleted": row.status == Status.DELETED,
        "deleted_at": naive(row.deleted_at) if row.deleted_at is not None else None,
        "server": {"id": row.resources.get("server_id")},
        "guest_status": {
            "state_description": reported.status if reported else None,
            "generation": int(row.generation),
        },
    }
    return view


ROUTES: Final = (
    Route("GET", PATH, index),
    Route("GET", f"{PATH}/{{instance}}", show),
    Route("GET", f"{PATH}/{{instance}}/root", root_history),
)
