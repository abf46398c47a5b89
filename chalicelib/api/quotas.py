"""Quotas of a tenant: shown to its own users, changed by administrators."""

from __future__ import annotations

from typing import Any, Final

from chalicelib.api.frame import Request, Response, Route
from chalicelib.api.schema import Body
from chalicelib.auth import policy
from chalicelib.domain.quotas import RESOURCES, UNLIMITED
from chalicelib.errors import BadRequest, Forbidden, NotFound
from chalicelib.settings import API_VERSION
from chalicelib.store import quotas
from chalicelib.store.limits import set_limits

PATH: Final = f"/{API_VERSION}/{{project}}/mgmt/quotas/{{tenant}}"

MAX_LIMIT: Final = 2**31 - 1


class UpdateBody(Body, frozen=True):
    """Body of PUT: new limits of some resources, -1 for none."""

    quotas: dict[str, Any]  # checked one by one: the decoder does not name the one that is wrong


def show(request: Request) -> Response:
    """GET mgmt/quotas/{tenant}: another tenant's only for administrators."""
    tenant_id = request.id_of("tenant")
    context = request.context
    if not context.is_admin and context.project_id != tenant_id:
        raise Forbidden("Only an administrator may see the quotas of another tenant.")
    row = quotas.get_quota(tenant_id)
    used, limits = quotas.used_of(row), quotas.limits_of(row)
    return Response(
        200,
        {
            "quotas": [
                {
                    "resource": resource,
                    "in_use": used[resource],
                    "reserved": 0,
                    "limit": int(limits[resource]),
                }
                for resource in RESOURCES
            ]
        },
    )


def update(request: Request) -> Response:
    """PUT mgmt/quotas/{tenant}."""
    policy.require_admin(request.context)
    wanted = request.json(UpdateBody).quotas
    for resource, limit in wanted.items():
        if resource not in RESOURCES:
            raise NotFound(f"Unknown quota resource {resource[:64]}.")
        if type(limit) is not int or not UNLIMITED <= limit <= MAX_LIMIT:
            raise BadRequest(
                f"Validation error: quotas[{resource!r}] "
                f"Expected int from {UNLIMITED} to {MAX_LIMIT}"
            )
    return Response(200, {"quotas": set_limits(request.id_of("tenant"), wanted)})


ROUTES: Final = (
    Route("GET", PATH, show),
    Route("PUT", PATH, update),
)
