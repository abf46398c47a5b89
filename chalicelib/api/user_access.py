"""Which databases a user may use."""

from __future__ import annotations

from typing import ClassVar, Final

from chalicelib.api import users
from chalicelib.api.contents import Grants, granted
from chalicelib.api.frame import Request, Response, Route
from chalicelib.api.guest_calls import REFUSALS, asking
from chalicelib.api.response import View
from chalicelib.api.schema import Body, Examples
from chalicelib.bus import contract
from chalicelib.bus.contract.arguments import Account, GrantAccess, RevokeAccess
from chalicelib.bus.contract.values import DatabaseName
from chalicelib.errors import BadRequest

PATH: Final = f"{users.PATH}/{{user}}/databases"
POLICY: Final = "instance:extension:user_access"


class NewGrants(Body, frozen=True):
    """Databases that a user may use from now on, beside those that it may already."""

    EXAMPLES: ClassVar[Examples] = ({"databases": [{"name": "orders"}]},)

    databases: Grants


class GrantedList(View, frozen=True):
    """The databases that a user may use."""

    databases: list[DatabaseName]


def index(request: Request) -> Response:
    """The databases that a user may use."""
    asked = asking(request, contract.LIST_ACCESS)
    found = asked.answer(Account(*users.addressed(asked)))
    return Response(200, GrantedList(found.databases))


def grant(request: Request) -> Response:
    """Let a user into databases."""
    wanted = request.json(NewGrants).databases
    asked = asking(request, contract.GRANT_ACCESS)
    databases = granted(asked.rules, wanted)
    if not databases:
        raise BadRequest("Validation error: databases must have at least 1 item")
    name, host = users.changeable(asked)
    asked.answer(GrantAccess(name, databases, host))
    return Response(202)


def revoke(request: Request) -> Response:
    """Let a user into a database no longer."""
    asked = asking(request, contract.REVOKE_ACCESS)
    database = asked.rules.database_name(request.params["database"])
    name, host = users.changeable(asked)
    asked.answer(RevokeAccess(name, database, host))
    return Response(202)


ROUTES: Final = (
    Route("GET", PATH, index, f"{POLICY}:index", answers=GrantedList, refuses=REFUSALS),
    Route(
        "PUT",
        PATH,
        grant,
        f"{POLICY}:update",
        reads=NewGrants,
        status=202,
        refuses=REFUSALS,
    ),
    Route(
        "DELETE",
        f"{PATH}/{{database}}",
        revoke,
        f"{POLICY}:delete",
        status=202,
        refuses=REFUSALS,
    ),
)
