"""The users of an instance's database. A user's id is `name@host`; without a host, any host."""

from __future__ import annotations

from typing import Any, Final
from urllib.parse import quote, unquote

import msgspec

from chalicelib.api.contents import Users, checked_users, user_view
from chalicelib.api.frame import Request, Response, Route
from chalicelib.api.guest_calls import call
from chalicelib.api.paging import limit_of, marker_of
from chalicelib.bus import contract
from chalicelib.domain import contents
from chalicelib.errors import BadRequest
from chalicelib.settings import API_VERSION

PATH: Final = f"/{API_VERSION}/{{project}}/instances/{{instance}}/users"
POLICY: Final = "instance:extension:user"


class CreateBody(msgspec.Struct, frozen=True):
    """Body of POST users."""

    users: Users


class PasswordsBody(msgspec.Struct, frozen=True):
    """Body of PUT users: new passwords."""

    users: Users


class Attributes(msgspec.Struct, frozen=True, omit_defaults=True):
    """What can be changed of one user."""

    name: str | None = None
    password: str | None = None
    host: str | None = None

    def checked(self) -> dict[str, str]:
        """The attributes given; `BadRequest` when there is none, or a rule is broken."""
        chosen: dict[str, str] = {}
        if self.name is not None:
            chosen["name"] = contents.user_name(self.name)
        if self.password is not None:
            chosen["password"] = contents.password(self.password)
        if self.host is not None:
            chosen["host"] = contents.host(self.host)
        if not chosen:
            raise BadRequest("Validation error: user must have at least 1 property to change")
        return chosen


class UpdateBody(msgspec.Struct, frozen=True):
    """Body of PUT users/{id}."""

    user: Attributes


def index(request: Request) -> Response:
    """GET users, a page of them."""
    page = {"limit": limit_of(request.query), "marker": _marker(request)}
    found = call(request, contract.LIST_USERS, {**page, "include_marker": False})
    body: dict[str, Any] = {"users": [user_view(user) for user in found.users]}
    if marker := found.next_marker:
        # Quoted once more than the URL needs it, as Trove does: its client sends it on unquoted.
        body["links"] = request.place.next_page(quote(marker, safe=""))
    return Response(200, body)


def create(request: Request) -> Response:
    """POST users."""
    users = checked_users(request.json(CreateBody).users)
    call(request, contract.CREATE_USER, {"users": users})
    return Response(202)


def change_passwords(request: Request) -> Response:
    """PUT users: new passwords for some."""
    users = checked_users(request.json(PasswordsBody).users)
    changes = [{key: user[key] for key in ("name", "host", "password")} for user in users]
    call(request, contract.CHANGE_PASSWORDS, {"users": changes})
    return Response(202)


def show(request: Request) -> Response:
    """GET users/{id}."""
    found = call(request, contract.GET_USER, addressed(request))
    return Response(200, {"user": user_view(found.user)})


def update(request: Request) -> Response:
    """PUT users/{id}: another name, host or password."""
    attributes = request.json(UpdateBody).user.checked()
    call(request, contract.UPDATE_ATTRIBUTES, {**changeable(request), "user_attrs": attributes})
    return Response(202)


def delete(request: Request) -> Response:
    """DELETE users/{id}."""
    user = changeable(request)
    named = {"name": user["username"], "host": user["hostname"]}
    call(request, contract.DELETE_USER, {"user": named})
    return Response(202)


def addressed(request: Request) -> dict[str, str]:
    """The user in the path, as the guest's methods take it."""
    name, host = contents.user_and_host(request.params["user"])
    return {"username": name, "hostname": host}


def changeable(request: Request) -> dict[str, str]:
    """The user in the path when it is not one of the service's own; `BadRequest` otherwise."""
    user = addressed(request)
    contents.user_name(user["username"])
    return user


def _marker(request: Request) -> str | None:
    """The marker, unquoted when it still is quoted: a plain one always has its `@`."""
    marker = marker_of(request.query)
    return unquote(marker) if marker and "@" not in marker else marker


ROUTES: Final = (
    Route("GET", PATH, index, f"{POLICY}:index"),
    Route("POST", PATH, create, f"{POLICY}:create"),
    Route("PUT", PATH, change_passwords, f"{POLICY}:update_all"),
    Route("GET", f"{PATH}/{{user}}", show, f"{POLICY}:show"),
    Route("PUT", f"{PATH}/{{user}}", update, f"{POLICY}:update"),
    Route("DELETE", f"{PATH}/{{user}}", delete, f"{POLICY}:delete"),
)
