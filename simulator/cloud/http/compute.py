"""Nova v2.1: its version documents, and the parts that its routes come from."""

from __future__ import annotations

from starlette.routing import BaseRoute

from simulator.cloud.http import compute_views as views
from simulator.cloud.http.compute_flavors import Flavors
from simulator.cloud.http.compute_groups import ServerGroups
from simulator.cloud.http.compute_limits import Limits
from simulator.cloud.http.compute_server_parts import ServerParts
from simulator.cloud.http.compute_servers import Servers
from simulator.cloud.http.plumbing import json_response, open_route
from simulator.cloud.model.cloud import Cloud


class ComputeApi:
    """Routes below `/compute`."""

    def __init__(self, cloud: Cloud, url: str) -> None:
        self.url = url
        self._parts = [
            part(cloud, url) for part in (Servers, ServerParts, ServerGroups, Flavors, Limits)
        ]

    def routes(self) -> list[BaseRoute]:
        """All routes of the service."""
        version = views.version(self.url)
        return [
            open_route("/", lambda: json_response({"versions": [version]})),
            open_route("/v2.1", lambda: json_response({"version": version})),
            open_route("/v2.1/", lambda: json_response({"version": version})),
            *(route for part in self._parts for route in part.routes()),
        ]
