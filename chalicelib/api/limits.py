"""GET limits: the quotas of the caller's project. Its rates are in `rates`."""

from __future__ import annotations

from typing import Final

from chalicelib.api.frame import Request, Response, Route
from chalicelib.settings import API_VERSION
from chalicelib.store import quotas


def index(request: Request) -> Response:
    """The absolute limits, first in the list as clients expect it."""
    limits = quotas.limits_of(quotas.get_quota(request.context.project_id))
    absolute = {f"max_{resource}": int(limit) for resource, limit in limits.items()}
    return Response(200, {"limits": [{"verb": "ABSOLUTE", **absolute}]})


ROUTES: Final = (Route("GET", f"/{API_VERSION}/{{project}}/limits", index, "limits:index"),)
