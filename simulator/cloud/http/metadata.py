"""Nova's metadata service: what is on the config drive, for whoever asks from a server's address.

Neutron's proxy knows a server by the address of its port; here a client has to send from it.
"""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import BaseRoute, Route

from simulator.cloud import config_drive
from simulator.cloud.model.cloud import Cloud


class MetadataApi:
    """Routes at the root of the cloud, where a server expects them at 169.254.169.254."""

    def __init__(self, cloud: Cloud) -> None:
        self._cloud = cloud

    def routes(self) -> list[BaseRoute]:
        """The trees of both manners."""
        return [
            Route(path, self.show)
            for tree in ("/openstack", "/ec2")
            for path in (tree, tree + "/{below:path}")
        ]

    async def show(self, request: Request) -> Response:
        """GET a document, or the names below a folder of them; 404 for everybody else."""
        spec = self._cloud.compute.spec_at(request.client.host if request.client else "")
        documents = config_drive.documents(spec) if spec else {}
        path = request.url.path.strip("/")
        if path in documents:
            kind = "application/json" if path.endswith(".json") else "text/plain"
            return Response(documents[path], media_type=kind)
        below = [name.removeprefix(f"{path}/") for name in documents if name.startswith(f"{path}/")]
        if below:
            return PlainTextResponse("\n".join(sorted({name.split("/")[0] for name in below})))
        return PlainTextResponse("404 Not Found", 404)
