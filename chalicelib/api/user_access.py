"""Which databases a user may use."""

from __future__ import annotations

from typing import Final

from chalicelib.api import users
from chalicelib.api.contents import Grants, granted
from chalicelib.api.frame import Request, Response, Route
from chalicelib.api.guest_calls import asking
from chalicelib.api.schema import Body
from chalicelib.bus import contract
from chalicelib.bus.contract.arguments import Account, GrantAccess, RevokeAccess
from chalicelib.domain import contents
from chalicelib.errors import BadRequest

PATH: Final = f"{users.PATH}/{{user}}/databases"
POLICY: Final = "instance:extension:user_access"


class GrantBody(Body, frozen=True):
    """Body of PUT databases: what the user may use from now on, beside what it may already."""

    databases: Grants


def index(request: Request) -> Response:
    """GET users/{id}/databases."""
    asked = asking(request, contract.LIST_ACCESS)
    found = asked.answer(Account(*users.addressed(request)))
    return Response(200, {"databases": found.databases})


def grant(request: Request) -> Response:
    """PUT users/{id}/databases."""
    wanted = request.json(GrantBody).databases
    asked = asking(request, contract.GRANT_ACCESS)
    databases = granted(wanted)
    if not databases:
        raise BadRequest("Validation error: databases must have at least 1 item")
    name, host = users.changeable(request)
    asked.answer(GrantAccess(name, databases, host))
    return Response(202)


def revoke(request: Request) -> Response:
    """DELETE users/{id}/databases/{name}."""
    asked = asking(request, contract.REVOKE_ACCESS)
    database = contents.database_name(request.params["database"])
    name, host = users.changeable(request)
    asked.answer(RevokeAccess(name, database, host))
    return Response(202)


ROUTES: Final = (
    Route("GET", PATH, index, f"{POLICY}:index"),
    Route("PUT", PATH, grant, f"{POLICY}:update"),
    Route("DELETE", f"{PATH}/{{database}}", revoke, f"{POLICY}:delete"),
)
