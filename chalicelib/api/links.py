"""The URLs in bodies: where this API is reached by the client, and links to its resources."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal
from urllib.parse import quote, urlencode

import msgspec

from chalicelib.api.response import View
from chalicelib.settings import API_VERSION, settings


class Link(View, frozen=True):
    """Where something is found: itself, a bookmark, or the next page."""

    href: str
    rel: Literal["self", "bookmark", "next"]


Next = list[Link] | msgspec.UnsetType
"""The link to the next page of a list, where there is one."""


class Place(msgspec.Struct, frozen=True):
    """Where a request arrived: the URL in front of the version, and the resource it named."""

    base: str
    template: str
    params: Mapping[str, str]
    query: Mapping[str, str]

    def root(self) -> str:
        """The URL of the version document."""
        return f"{self.base}/{API_VERSION}/"

    def links(self, collection: str, resource_id: str) -> list[Link]:
        """Trove's pair of links: the resource itself, and a bookmark without version and tenant."""
        target = f"{collection}/{quote(resource_id, safe='')}"
        return [
            Link(self.url(*collection.split("/"), resource_id), "self"),
            Link(f"{self.base}/{target}", "bookmark"),
        ]

    def url(self, *segments: str) -> str:
        """The URL of something of the project that the request named."""
        path = (self.params.get("project", ""), *segments)
        quoted = "/".join(quote(segment, safe="") for segment in path)
        return f"{self.base}/{API_VERSION}/{quoted}"

    def next_page(self, marker: str | None) -> Next:
        """The link to the page behind `marker`, if there is one; other query parameters stay."""
        if marker is None:
            return msgspec.UNSET
        path = self.template.format(
            **{name: quote(value, safe="") for name, value in self.params.items()}
        )
        query = urlencode({**self.query, "marker": marker})
        return [Link(f"{self.base}{path}?{query}", "next")]


def base_url(headers: Mapping[str, str], context: Mapping[str, Any]) -> str:
    """The URL under which the client sees the API's root, without a slash at the end.

    `context` is API Gateway's request context. A domain of the API's own has the stage or a base
    path in front; AWS emulators serve all APIs under `/_aws/execute-api/<id>/<stage>` of one host.
    """
    chosen = settings()
    if chosen.public_endpoint:
        return chosen.public_endpoint.rstrip("/")
    host = headers.get("host") or str(context.get("domainName") or "localhost")
    api_id, stage = str(context.get("apiId") or ""), str(context.get("stage") or "")
    if chosen.guest_endpoint_url and not host.startswith(f"{api_id}."):
        scheme = headers.get("x-forwarded-proto", "http")
        return f"{scheme}://{host}/_aws/execute-api/{api_id}/{stage}"
    prefix = str(context.get("path") or "").partition(f"/{API_VERSION}")[0].rstrip("/")
    return f"{headers.get('x-forwarded-proto', 'https')}://{host}{prefix}"
