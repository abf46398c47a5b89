"""Quotas of a tenant: shown to its own users, changed by administrators."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Final

import msgspec

from chalicelib.api.frame import Request, Response, Route
from chalicelib.api.response import View, one_of
from chalicelib.api.schema import Body, Examples
from chalicelib.auth import policy
from chalicelib.domain.quotas import RESOURCES, UNLIMITED
from chalicelib.errors import BadRequest, Forbidden, NotFound
from chalicelib.settings import API_VERSION
from chalicelib.store import quotas
from chalicelib.store.limits import set_limits

PATH: Final = f"/{API_VERSION}/{{project}}/mgmt/quotas/{{tenant}}"

MAX_LIMIT: Final = 2**31 - 1

Resource = Annotated[str, one_of(RESOURCES)]
_LIMITS: Final = {
    "propertyNames": {"enum": list(RESOURCES)},
    "additionalProperties": {"type": "integer", "minimum": UNLIMITED, "maximum": MAX_LIMIT},
}


class QuotaView(View, frozen=True):
    """How much of one resource a project uses and may use; -1 is without a limit."""

    resource: Resource
    in_use: int
    reserved: int
    limit: int


class QuotaList(View, frozen=True):
    """The quotas of a project, by resource."""

    quotas: list[QuotaView]


class QuotaLimits(View, frozen=True):
    """The limits that are in force for a project."""

    quotas: dict[str, int]


class NewQuotas(Body, frozen=True):
    """New limits of some resources, -1 for none."""

    EXAMPLES: ClassVar[Examples] = ({"quotas": {"instances": 20, "ram": -1}},)

    # Checked one by one: the decoder does not name the one that is wrong.
    quotas: Annotated[dict[str, Any], msgspec.Meta(extra_json_schema=_LIMITS)]


def show(request: Request) -> Response:
    """The quotas of a project: another one's only for administrators."""
    tenant_id = request.id_of("tenant")
    context = request.context
    if not context.is_admin and context.project_id != tenant_id:
        raise Forbidden("Only an administrator may see the quotas of another tenant.")
    row = quotas.get_quota(tenant_id)
    used, limits = quotas.used_of(row), quotas.limits_of(row)
    return Response(
        200,
        QuotaList(
            [
                QuotaView(resource, used[resource], 0, int(limits[resource]))
                for resource in RESOURCES
            ]
        ),
    )


def update(request: Request) -> Response:
    """Change limits of a project; for administrators."""
    policy.require_admin(request.context)
    wanted = request.json(NewQuotas).quotas
    for resource, limit in wanted.items():
        if resource not in RESOURCES:
            raise NotFound(f"Unknown quota resource {resource[:64]}.")
        if type(limit) is not int or not UNLIMITED <= limit <= MAX_LIMIT:
            raise BadRequest(
                f"Validation error: quotas[{resource!r}] "
                f"Expected int from {UNLIMITED} to {MAX_LIMIT}"
            )
    return Response(200, QuotaLimits(set_limits(request.id_of("tenant"), wanted)))


ROUTES: Final = (
    Route("GET", PATH, show, answers=QuotaList),
    Route("PUT", PATH, update, reads=NewQuotas, answers=QuotaLimits),
)
