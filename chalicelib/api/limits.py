"""GET limits: the quotas of the caller's project. Its rates are in `rates`."""

from __future__ import annotations

from typing import Final, Literal

from chalicelib.api.frame import Request, Response, Route
from chalicelib.api.response import View
from chalicelib.settings import API_VERSION
from chalicelib.store import quotas


class AbsoluteLimits(View, frozen=True):
    """What a project may have in all; -1 is without a limit. Memory in MiB, volumes in GiB."""

    verb: Literal["ABSOLUTE"]
    max_instances: int
    max_ram: int
    max_volumes: int
    max_backups: int


class LimitList(View, frozen=True):
    """The absolute limits, first in a list as clients expect it."""

    limits: list[AbsoluteLimits]


def index(request: Request) -> Response:
    """The absolute limits of the project."""
    limits = quotas.limits_of(quotas.get_quota(request.context.project_id))
    absolute = {f"max_{resource}": int(limit) for resource, limit in limits.items()}
    return Response(200, LimitList([AbsoluteLimits("ABSOLUTE", **absolute)]))


ROUTES: Final = (
    Route("GET", f"/{API_VERSION}/{{project}}/limits", index, "limits:index", answers=LimitList),
)
