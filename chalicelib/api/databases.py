"""The databases of an instance: each answer comes from its guest."""

from __future__ import annotations

from typing import Any, Final

from chalicelib.api.contents import Databases, checked_databases, page_of
from chalicelib.api.frame import Request, Response, Route
from chalicelib.api.guest_calls import asking, instance_of
from chalicelib.api.paging import quoted
from chalicelib.api.schema import Body
from chalicelib.bus import contract
from chalicelib.bus.contract.arguments import CreateDatabases, DeleteDatabase
from chalicelib.bus.contract.values import DatabaseName
from chalicelib.domain import contents
from chalicelib.errors import NotSupported
from chalicelib.settings import API_VERSION

PATH: Final = f"/{API_VERSION}/{{project}}/instances/{{instance}}/databases"
POLICY: Final = "instance:extension:database"


class CreateBody(Body, frozen=True):
    """Body of POST databases."""

    databases: Databases


def index(request: Request) -> Response:
    """GET databases, a page of them."""
    found = asking(request, contract.LIST_DATABASES).answer(page_of(request))
    body: dict[str, Any] = {"databases": found.databases}
    if marker := found.next_marker:
        body["links"] = request.place.next_page(quoted(marker))
    return Response(200, body)


def create(request: Request) -> Response:
    """POST databases."""
    wanted = request.json(CreateBody).databases
    asked = asking(request, contract.CREATE_DATABASE)
    made = CreateDatabases(checked_databases(wanted))
    return asked.once(Response(202), lambda _: made)


def show(request: Request) -> Response:
    """GET databases/{name}: Trove has it not, and clients know that."""
    instance_of(request)
    raise NotSupported("Showing a single database is not supported; list them.")


def delete(request: Request) -> Response:
    """DELETE databases/{name}."""
    asked = asking(request, contract.DELETE_DATABASE)
    name = contents.database_name(request.params["database"])
    asked.answer(DeleteDatabase(DatabaseName(name)))
    return Response(202)


ROUTES: Final = (
    Route("GET", PATH, index, f"{POLICY}:index"),
    Route("POST", PATH, create, f"{POLICY}:create"),
    Route("GET", f"{PATH}/{{database}}", show, f"{POLICY}:show"),
    Route("DELETE", f"{PATH}/{{database}}", delete, f"{POLICY}:delete"),
)
