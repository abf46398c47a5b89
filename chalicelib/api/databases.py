"""The databases of an instance: each answer comes from its guest."""

from __future__ import annotations

from typing import ClassVar, Final

import msgspec

from chalicelib.api.contents import Databases, checked_databases, page_of
from chalicelib.api.frame import Request, Response, Route
from chalicelib.api.guest_calls import REFUSALS, asking, instance_of
from chalicelib.api.links import Next
from chalicelib.api.paging import PagedNames, quoted
from chalicelib.api.response import View
from chalicelib.api.schema import Body, Examples
from chalicelib.bus import contract
from chalicelib.bus.contract.arguments import CreateDatabases, DeleteDatabase
from chalicelib.bus.contract.values import Database, DatabaseName
from chalicelib.errors import NotSupported
from chalicelib.settings import API_VERSION

PATH: Final = f"/{API_VERSION}/{{project}}/instances/{{instance}}/databases"
POLICY: Final = "instance:extension:database"


class NewDatabases(Body, frozen=True):
    """Databases to make."""

    EXAMPLES: ClassVar[Examples] = (
        {"databases": [{"name": "orders"}]},
        {"databases": [{"name": "a", "character_set": "utf8mb4", "collate": "utf8mb4_bin"}]},
    )

    databases: Databases


class DatabaseList(View, frozen=True):
    """A page of databases, by name."""

    databases: list[Database]
    links: Next = msgspec.UNSET


def index(request: Request) -> Response:
    """The databases of an instance, a page of them."""
    found = asking(request, contract.LIST_DATABASES).answer(page_of(request))
    marker = quoted(found.next_marker) if found.next_marker else None
    return Response(200, DatabaseList(found.databases, request.place.next_page(marker)))


def create(request: Request) -> Response:
    """Make databases."""
    wanted = request.json(NewDatabases).databases
    asked = asking(request, contract.CREATE_DATABASE)
    made = CreateDatabases(checked_databases(asked.rules, wanted))
    return asked.once(Response(202), lambda _: made)


def show(request: Request) -> Response:
    """One database: Trove has no such thing, and clients know that."""
    instance_of(request)
    raise NotSupported("Showing a single database is not supported; list them.")


def delete(request: Request) -> Response:
    """Remove a database."""
    asked = asking(request, contract.DELETE_DATABASE)
    name = asked.rules.database_name(request.params["database"])
    asked.answer(DeleteDatabase(DatabaseName(name)))
    return Response(202)


ROUTES: Final = (
    Route(
        "GET",
        PATH,
        index,
        f"{POLICY}:index",
        query=PagedNames,
        answers=DatabaseList,
        refuses=REFUSALS,
    ),
    Route(
        "POST",
        PATH,
        create,
        f"{POLICY}:create",
        reads=NewDatabases,
        status=202,
        refuses=REFUSALS,
    ),
    Route("GET", f"{PATH}/{{database}}", show, f"{POLICY}:show", status=NotSupported.status),
    Route(
        "DELETE",
        f"{PATH}/{{database}}",
        delete,
        f"{POLICY}:delete",
        status=202,
        refuses=REFUSALS,
    ),
)
