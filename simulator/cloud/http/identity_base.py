"""What the parts of the identity service share: its errors, who calls, and how it lists."""

from __future__ import annotations

from starlette.responses import JSONResponse, Response

from simulator.cloud.http.lists import matches
from simulator.cloud.http.plumbing import Call, Json, Service, json_response, unauthorized_view
from simulator.cloud.model.caller import Caller
from simulator.cloud.model.cloud import Cloud
from simulator.cloud.model.errors import CloudError, Unauthorized
from simulator.cloud.model.identity import Token

_TITLES = {
    400: "Bad Request",
    401: "Unauthorized",
    403: "Forbidden",
    404: "Not Found",
    409: "Conflict",
}


def error_view(error: CloudError) -> Response:
    """Keystone's body: `{"error": {"code", "message", "title"}}`."""
    if error.status == 401:
        return unauthorized_view(error)
    title = _TITLES.get(error.status, "Internal Server Error")
    content = {"error": {"code": error.status, "message": error.message, "title": title}}
    return JSONResponse(content, error.status)


class IdentityRoutes(Service):
    """Some of the routes below `/identity`."""

    def __init__(self, cloud: Cloud, url: str) -> None:
        super().__init__(cloud, url, error_view)

    def caller(self, secret: str | None) -> Caller:
        """Keystone takes unscoped tokens as well."""
        return self.live(secret).caller()

    def live(self, secret: str | None) -> Token:
        """The token of that secret; Unauthorized when it is unknown, revoked or expired."""
        token = self.cloud.identity.token(secret) if secret else None
        if token is None:
            raise Unauthorized
        return token

    def list_of(self, name: str, documents: list[Json], call: Call) -> Response:
        """The documents that pass the filters of the query."""
        rows = [document for document in documents if matches(document, call.query)]
        return json_response({name: rows, "links": self.links(f"/{name}")})

    def links(self, path: str) -> Json:
        """The links of a list; there is one page of each."""
        return {"self": f"{self.url}/v3{path}", "previous": None, "next": None}
