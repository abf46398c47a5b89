"""The version documents: what a client finds before it has a token."""

from __future__ import annotations

import re
from typing import Final

from chalicelib.api.frame import Request, Response, Route
from chalicelib.api.links import Link
from chalicelib.api.response import View
from chalicelib.errors import NotAcceptable
from chalicelib.settings import API_VERSION

UPDATED: Final = "2012-08-01T00:00:00Z"
_ACCEPTED: Final = re.compile(r"application/vnd\.openstack\.trove.*;\s*version=(?P<version>[\w.]+)")


class VersionDocument(View, frozen=True):
    """A version of the API, and where it is."""

    id: str
    status: str
    updated: str
    links: list[Link]


class VersionList(View, frozen=True):
    """The versions that there are."""

    versions: list[VersionDocument]


class OneVersion(View, frozen=True):
    """The one version."""

    version: VersionDocument


def index(request: Request) -> Response:
    """The versions of the API."""
    wanted = _ACCEPTED.match(request.headers.get("accept", ""))
    if wanted and f"v{wanted['version']}" != API_VERSION:
        raise NotAcceptable("version not supported")
    return Response(200, VersionList([_document(request)]))


def show(request: Request) -> Response:
    """The one version of the API."""
    return Response(200, OneVersion(_document(request)))


def _document(request: Request) -> VersionDocument:
    return VersionDocument(API_VERSION, "CURRENT", UPDATED, [Link(request.place.root(), "self")])


ROUTES: Final = (
    Route("GET", "/", index, public=True, answers=VersionList, refuses=(NotAcceptable,)),
    Route("GET", f"/{API_VERSION}", show, public=True, answers=OneVersion),
)
