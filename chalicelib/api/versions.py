"""The version documents: what a client finds before it has a token."""

from __future__ import annotations

import re
from typing import Any, Final

from chalicelib.api.frame import Request, Response, Route
from chalicelib.errors import NotAcceptable
from chalicelib.settings import API_VERSION

UPDATED: Final = "2012-08-01T00:00:00Z"
_ACCEPTED: Final = re.compile(r"application/vnd\.openstack\.trove.*;\s*version=(?P<version>[\w.]+)")


def index(request: Request) -> Response:
    """GET /: the versions there are."""
    wanted = _ACCEPTED.match(request.headers.get("accept", ""))
    if wanted and f"v{wanted['version']}" != API_VERSION:
        raise NotAcceptable("version not supported")
    return Response(200, {"versions": [_document(request)]})


def show(request: Request) -> Response:
    """GET /v1.0: the one version."""
    return Response(200, {"version": _document(request)})


def _document(request: Request) -> dict[str, Any]:
    return {
        "id": API_VERSION,
        "status": "CURRENT",
        "updated": UPDATED,
        "links": [{"rel": "self", "href": request.place.root()}],
    }


ROUTES: Final = (
    Route("GET", "/", index, public=True),
    Route("GET", f"/{API_VERSION}", show, public=True),
)
