"""Keystone v3: its version documents, and the parts that its routes come from."""

from __future__ import annotations

from starlette.routing import BaseRoute

from simulator.cloud.http import identity_views as views
from simulator.cloud.http.identity_catalog import CatalogEntries
from simulator.cloud.http.identity_people import People
from simulator.cloud.http.identity_tokens import Tokens
from simulator.cloud.http.plumbing import json_response, open_route
from simulator.cloud.model.cloud import Cloud


class IdentityApi:
    """Routes below `/identity`."""

    def __init__(self, cloud: Cloud, url: str) -> None:
        self.url = url
        self._parts = [part(cloud, url) for part in (Tokens, CatalogEntries, People)]

    def routes(self) -> list[BaseRoute]:
        """All routes of the service."""
        version = views.version(self.url)
        versions = {"versions": {"values": [version]}}
        return [
            open_route("/", lambda: json_response(versions, 300)),
            open_route("/v3", lambda: json_response({"version": version})),
            open_route("/v3/", lambda: json_response({"version": version})),
            *(route for part in self._parts for route in part.routes()),
        ]
