"""What the parts of the compute service share: Nova's model, its errors, the microversion."""

from __future__ import annotations

import re

from simulator.cloud.http import compute_views as views
from simulator.cloud.http.plumbing import Call, Json, Service, fault_view
from simulator.cloud.model.cloud import Cloud
from simulator.cloud.model.errors import BadRequest
from simulator.cloud.model.server import Server


class ComputeRoutes(Service):
    """Some of the routes below `/compute`."""

    def __init__(self, cloud: Cloud, url: str) -> None:
        super().__init__(cloud, url, fault_view)
        self.nova = cloud.compute

    def view(self, server: Server, call: Call) -> Json:
        """A server in full, as the microversion that is asked for shows it."""
        return views.server(server, self.cloud.network, self.url, microversion(call))


def microversion(call: Call) -> tuple[int, int]:
    """The microversion asked for, 2.1 by default; `latest` is the newest there is."""
    text = call.headers.get("x-openstack-nova-api-version", "2.1")
    for part in call.headers.get("openstack-api-version", "").split(","):
        service, _, version = part.strip().partition(" ")
        if service == "compute":
            text = version.strip()
    if text == "latest":
        text = views.MICROVERSION
    match = re.fullmatch(r"2\.(\d+)", text)
    if match is None:
        raise BadRequest(f"API Version String {text} is of invalid format.")
    return 2, int(match[1])
