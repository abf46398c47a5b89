"""GET /v1.0/openapi.json: what this API is, for programs. Rendered when it is asked for first."""

from __future__ import annotations

from typing import Any, Final

from chalicelib import aws
from chalicelib.api.frame import Request, Response, Route
from chalicelib.settings import API_VERSION


def show(request: Request) -> Response:
    """The OpenAPI document of this API."""
    return Response(200, {**rendered(), "servers": [{"url": request.place.base}]})


def rendered() -> dict[str, Any]:
    """The document of all routes, the same for a container's life."""
    # Here, so that no container that is not asked pays for it at its start.
    from chalicelib.api import openapi
    from chalicelib.api.application import ROUTES

    document: dict[str, Any] = aws.remembered("openapi", lambda: openapi.document(ROUTES))
    return document


ROUTES: Final = (
    Route("GET", f"/{API_VERSION}/openapi.json", show, public=True, answers=dict[str, Any]),
)
